//! `cgroup.events`: whether a cgroup has processes and whether they are frozen.

use std::time::Instant;

use crate::Result;
use crate::dir::Dir;
use crate::events::EventFile;

pub(crate) const FILE: &str = "cgroup.events";

/// What `cgroup.events` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Events {
    /// Whether the cgroup or one below it has living processes.
    pub(crate) populated: bool,
    /// Whether all of them are frozen.
    pub(crate) frozen: bool,
}

impl Events {
    /// Reads them; nothing holds where there is no such file.
    pub(crate) fn read(dir: &Dir) -> Result<Self> {
        Ok(dir.read_if_there(FILE)?.as_deref().map(Self::parse).unwrap_or_default())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let holds = |key| text.lines().any(|line| line.strip_prefix(key) == Some(" 1"));
        Self { populated: holds("populated"), frozen: holds("frozen") }
    }
}

/// Waits until the events are as wanted; whether that came about before the deadline.
pub(crate) fn wait(dir: &Dir, deadline: Instant, wanted: impl Fn(Events) -> bool) -> Result<bool> {
    let file = EventFile::open(dir, FILE)?;
    loop {
        // A change after this read ends the wait below.
        if wanted(Events::parse(&file.read()?)) {
            return Ok(true);
        }
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Ok(false) };
        file.wait(left)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_events() {
        let events = Events::parse("populated 1\nfrozen 0\n");
        assert_eq!(events, Events { populated: true, frozen: false });
        assert_eq!(Events::parse(""), Events::default());
    }
}
