//! Pressure that exceeds a threshold; see the kernel's Documentation/accounting/psi.rst.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::OFlags;

use crate::{Cgroup, Error, Result};

/// What processes can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PressureKind {
    /// A processor.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
}

/// How long processes may wait before somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PressureTrigger {
    /// For what.
    pub resource: PressureKind,
    /// Only time in which all processes that had something to do waited counts, not that of some.
    pub full: bool,
    /// How long.
    pub stall: Duration,
    /// Within which time: 500 ms to 10 s, and without `CAP_SYS_RESOURCE` a multiple of 2 s.
    pub window: Duration,
}

/// As the kernel wants it.
impl fmt::Display for PressureTrigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.full { "full" } else { "some" };
        write!(f, "{who} {} {}", self.stall.as_micros(), self.window.as_micros())
    }
}

/// Tells when processes waited longer than they may; once in each window at most.
///
/// Its descriptor is to be polled for `POLLPRI`: that tells it once. `POLLERR` tells that the cgroup was
/// removed. For tokio, `AsyncFd::with_interest(watch, Interest::PRIORITY)`; [`PressureWatch::wait`] is for
/// programs without an event loop.
#[derive(Debug)]
pub struct PressureWatch {
    file: OwnedFd,
    directory: PathBuf,
}

impl Cgroup {
    /// Watches for pressure, from now on.
    ///
    /// Needs v2, on a hybrid host too, and the permission to write to the cgroup; before Linux 6.5 also
    /// `CAP_SYS_RESOURCE`.
    pub fn watch_pressure(&self, trigger: &PressureTrigger) -> Result<PressureWatch> {
        let file = match trigger.resource {
            PressureKind::Cpu => "cpu.pressure",
            PressureKind::Memory => "memory.pressure",
            PressureKind::Io => "io.pressure",
        };
        let dir = self.unified.as_ref().ok_or_else(|| Error::MissingController {
            controller: "pressure".into(),
            setting: file.into(),
            reason: "is in the v2 hierarchy, which is not mounted here".into(),
        })?;
        let fd = dir.open(file, OFlags::WRONLY)?;
        dir.write_to(&fd, file, &trigger.to_string())?;
        Ok(PressureWatch { file: fd, directory: dir.path().to_owned() })
    }
}

impl PressureWatch {
    /// Waits until the threshold is exceeded; whether it was in the time given. [`Error::Gone`] if the
    /// cgroup was removed.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        let flags = super::wait(&self.file, PollFlags::PRI, timeout)?;
        if flags.contains(PollFlags::ERR) {
            return Err(Error::Gone { path: self.directory.clone() });
        }
        Ok(flags.contains(PollFlags::PRI))
    }
}

/// For event loops that want a number, as tokio's.
impl AsRawFd for PressureWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for PressureWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_written_in_microseconds() {
        let trigger = PressureTrigger {
            resource: PressureKind::Memory,
            full: false,
            stall: Duration::from_millis(150),
            window: Duration::from_secs(2),
        };
        assert_eq!(trigger.to_string(), "some 150000 2000000");
        assert_eq!(PressureTrigger { full: true, ..trigger }.to_string(), "full 150000 2000000");
    }
}
