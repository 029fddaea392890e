//! `cgroup.events`: whether a cgroup has processes and whether they are frozen.

use std::time::Instant;

use coracle_sys::SyscallError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::{Errno, pread, retry_on_intr};

use crate::dir::Dir;
use crate::{Error, Result};

const FILE: &str = "cgroup.events";

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

    fn parse(text: &str) -> Self {
        let holds = |key| text.lines().any(|line| line.strip_prefix(key) == Some(" 1"));
        Self { populated: holds("populated"), frozen: holds("frozen") }
    }
}

/// Waits until the events are as wanted; whether that came about before the deadline.
pub(crate) fn wait(dir: &Dir, deadline: Instant, wanted: impl Fn(Events) -> bool) -> Result<bool> {
    let fd = dir.open(FILE, OFlags::RDONLY)?;
    let failed = |call, errno| match errno {
        Errno::NODEV => dir.gone(),
        errno => {
            Error::read(SyscallError::new(call, dir.path().join(FILE).to_string_lossy(), errno))
        }
    };
    loop {
        // A change after this read wakes the poll below.
        let mut text = [0_u8; 256];
        let length = pread(&fd, &mut text, 0).map_err(|errno| failed("pread", errno))?;
        if wanted(Events::parse(&String::from_utf8_lossy(&text[..length]))) {
            return Ok(true);
        }
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Ok(false) };
        let timeout = Timespec::try_from(left).ok();
        let mut fds = [PollFd::new(&fd, PollFlags::PRI)];
        retry_on_intr(|| poll(&mut fds, timeout.as_ref()))
            .map_err(|errno| failed("poll", errno))?;
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
