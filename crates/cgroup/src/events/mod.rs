//! Notifications: what happens to a cgroup, for those who wait for it.

mod empty;
mod file;
mod oom;
mod pressure;

pub use empty::EmptyWatch;
pub(crate) use file::EventFile;
pub use oom::OomWatch;
pub use pressure::{PressureKind, PressureTrigger, PressureWatch};

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use coracle_sys::SyscallError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::{Error, Result};

/// Waits until a descriptor has one of `flags`, or an error; nothing of it if the time is up.
fn wait(fd: impl AsFd, flags: PollFlags, timeout: Duration) -> Result<PollFlags> {
    // One that no clock shows is never reached.
    let deadline = Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&fd, flags)];
        match poll(&mut fds, left.as_ref()) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::read(SyscallError::new("poll", "", errno))),
            Ok(_) => return Ok(fds[0].revents()),
        }
    }
}
