//! Memory that ran out: an eventfd on v1, `memory.events` on v2.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use coracle_sys::SyscallError;
use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::fs::OFlags;
use rustix::io::{Errno, pread, read};

use super::EventFile;
use crate::cgroup::Target;
use crate::dir::Dir;
use crate::stats::value;
use crate::{Cgroup, Error, Result};

/// Tells when the memory of a cgroup ran out.
///
/// Its descriptor becomes readable then, and stays so until [`OomWatch::take`]. It can be polled, or given
/// to tokio as `AsyncFd::new(watch)`; [`OomWatch::wait`] is for programs without an event loop.
#[derive(Debug)]
pub struct OomWatch(Source);

#[derive(Debug)]
enum Source {
    V1 { counter: OwnedFd, control: OwnedFd, directory: PathBuf },
    V2 { events: EventFile, seen: u64 },
}

impl Cgroup {
    /// Watches for memory that runs out, from now on. `None` where the memory controller is missing.
    ///
    /// Needs on v1 the permission to write to the cgroup.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        let source = match self.target("memory") {
            Some(Target::V1(dir)) => Source::v1(dir),
            Some(Target::V2(dir)) => Source::v2(dir),
            None => return Ok(None),
        };
        match source {
            Err(error) if error.is_missing() => Ok(None),
            source => Ok(Some(OomWatch(source?))),
        }
    }
}

impl OomWatch {
    /// How often memory ran out since the last call.
    ///
    /// On v2 that is the number of processes that were killed, in the cgroup and below it. On v1 it is how
    /// often the limit of the cgroup, or of one above it, made the kernel look for one to kill; it may have
    /// found none, or was forbidden to look (`oom_kill_disable`).
    ///
    /// [`Error::Gone`] if the cgroup was removed; that makes the descriptor readable on v1 only.
    pub fn take(&mut self) -> Result<u64> {
        match &mut self.0 {
            Source::V1 { counter, control, directory } => {
                let count = read_counter(counter)?;
                // The removal of the cgroup counts as well.
                match pread(control, &mut [0; 64], 0) {
                    Err(Errno::NODEV) => Err(Error::Gone { path: directory.clone() }),
                    _ => Ok(count),
                }
            }
            Source::V2 { events, seen } => {
                let kills = value(&events.read()?, "oom_kill").unwrap_or_default();
                Ok(kills.saturating_sub(std::mem::replace(seen, kills)))
            }
        }
    }

    /// Waits until memory runs out; whether it did in the time given. [`OomWatch::take`] tells how often.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        Ok(!super::wait(self, PollFlags::IN, timeout)?.is_empty())
    }
}

/// For event loops that want a number, as tokio's.
impl AsRawFd for OomWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Source::V1 { counter, .. } => counter.as_fd(),
            Source::V2 { events, .. } => events.as_fd(),
        }
    }
}

impl Source {
    /// See the kernel's Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
    fn v1(dir: &Dir) -> Result<Self> {
        let control = dir.open("memory.oom_control", OFlags::RDONLY)?;
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::read(SyscallError::new("eventfd2", "0", errno)))?;
        let order = format!("{} {}", counter.as_raw_fd(), control.as_raw_fd());
        dir.write("cgroup.event_control", &order)?;
        Ok(Self::V1 { counter, control, directory: dir.path().to_owned() })
    }

    fn v2(dir: &Dir) -> Result<Self> {
        let events = EventFile::open(dir, "memory.events")?;
        let seen = value(&events.read()?, "oom_kill").unwrap_or_default();
        Ok(Self::V2 { events, seen })
    }
}

/// What an eventfd has counted, which makes it zero.
fn read_counter(counter: &OwnedFd) -> Result<u64> {
    let mut count = [0_u8; 8];
    match read(counter, &mut count) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(Errno::AGAIN) => Ok(0),
        Err(errno) => Err(Error::read(SyscallError::new("read", "eventfd", errno))),
    }
}
