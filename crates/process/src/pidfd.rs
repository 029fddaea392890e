//! A descriptor of a process; see pidfd_open(2).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use crate::{Error, ExitStatus, Result, Signal};

/// A process that stays the same whoever gets its number later.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process with the number `pid` of the caller's pid namespace. Linux 5.3.
    pub fn open(pid: i32) -> Result<Self> {
        let refused = |errno| failure("pidfd_open", pid.to_string(), errno);
        let pid = Pid::from_raw(pid).ok_or_else(|| refused(Errno::SRCH))?;
        pidfd_open(pid, PidfdFlags::empty()).map(Self).map_err(refused)
    }

    /// Sends `signal`. Returns whether there still was a process to receive it.
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        match coracle_sys::pidfd::send_signal(&self.0, signal.number()) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Errno::SRCH => Ok(false),
            Err(source) => Err(Error::Syscall { what: "cannot signal the process", source }),
        }
    }

    /// Waits for the end of a child of the caller and reaps it. Linux 5.4.
    ///
    /// It waits as long as the child lives, which only the caller can judge; poll the descriptor to
    /// wait for other things, too.
    pub fn wait(&self) -> Result<ExitStatus> {
        loop {
            match waitid(WaitId::PidFd(self.0.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(ExitStatus::from_waitid(&status)),
                Ok(None) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failure("waitid", "P_PIDFD", errno)),
            }
        }
    }

    /// Waits at most `limit` for the end of the process, which need not be a child. Did it end?
    pub fn wait_exit(&self, limit: Duration) -> Result<bool> {
        let deadline = std::time::Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failure("poll", "pidfd", errno)),
            }
        }
    }

    /// Is the process running? A zombie is not.
    pub fn is_alive(&self) -> Result<bool> {
        self.wait_exit(Duration::ZERO).map(|ended| !ended)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<PidFd> for OwnedFd {
    fn from(pidfd: PidFd) -> Self {
        pidfd.0
    }
}

impl From<OwnedFd> for PidFd {
    /// Wraps a descriptor that clone3(2) or another process gave.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

fn failure(call: &'static str, args: impl Into<String>, errno: Errno) -> Error {
    Error::syscall("cannot reach the process", call, args, errno)
}
