//! A process named so that no other can be mistaken for it, in memory and in a file.

use coracle_sys::SyscallError;
use rustix::fs::fstat;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{Error, PidFd, Result};

/// The file system of pidfds since Linux 6.9; before, all share one anonymous inode.
const PIDFS_MAGIC: i64 = 0x5049_4446;

/// A process by its number and what tells it from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its number in the caller's pid namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start_time: u64,
    /// The inode of its pidfd, which no other process of this boot ever has. Linux 6.9.
    pub pidfd_inode: Option<u64>,
}

impl ProcessRef {
    /// Names the live process behind `pidfd`, which has the number `pid`.
    pub fn new(pid: i32, pidfd: &PidFd) -> Result<Self> {
        let start_time = start_time(pid).map_err(|source| Error::Syscall {
            what: "cannot read when the process started",
            source,
        })?;
        Ok(Self { pid, start_time, pidfd_inode: inode(pidfd) })
    }

    /// A descriptor of the process, or nothing if it is gone (or a zombie).
    pub fn open(&self) -> Result<Option<PidFd>> {
        let pidfd = match PidFd::open(self.pid) {
            Ok(pidfd) => pidfd,
            Err(Error::Syscall { source, .. }) if source.errno() == Errno::SRCH => return Ok(None),
            // The number is now that of a thread: the process is gone.
            Err(Error::Syscall { source, .. })
                if matches!(source.errno(), Errno::INVAL | Errno::NOENT) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let same = match (self.pidfd_inode, inode(&pidfd)) {
            (Some(recorded), Some(found)) if recorded != found => false,
            _ => start_time(self.pid).is_ok_and(|found| found == self.start_time),
        };
        Ok((same && pidfd.is_alive()?).then_some(pidfd))
    }
}

fn inode(pidfd: &PidFd) -> Option<u64> {
    let on_pidfs = rustix::fs::fstatfs(pidfd).ok()?.f_type == PIDFS_MAGIC;
    fstat(pidfd).ok().filter(|_| on_pidfs).map(|stat| stat.st_ino)
}

/// Field 22 of `/proc/PID/stat`; the second one, the name, may hold spaces and parentheses.
fn start_time(pid: i32) -> Result<u64, SyscallError> {
    let path = format!("/proc/{pid}/stat");
    let text =
        std::fs::read(&path).map_err(|error| SyscallError::from_io("read", &path, &error))?;
    let text = String::from_utf8_lossy(&text);
    text.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19)?.parse().ok())
        .ok_or_else(|| SyscallError::new("parse", path, Errno::PROTO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_start_time_is_another_process() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let pidfd = PidFd::open(pid).unwrap();
        let this = ProcessRef::new(pid, &pidfd).unwrap();
        assert!(this.open().unwrap().is_some());
        let other = ProcessRef { start_time: this.start_time + 1, ..this };
        assert!(other.open().unwrap().is_none());
        let other = ProcessRef { pidfd_inode: this.pidfd_inode.map(|inode| inode + 1), ..this };
        assert_eq!(other.open().unwrap().is_some(), this.pidfd_inode.is_none());
    }

    #[test]
    fn a_dead_process_does_not_open() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().try_into().unwrap();
        let named = ProcessRef::new(pid, &PidFd::open(pid).unwrap()).unwrap();
        child.wait().unwrap();
        assert!(named.open().unwrap().is_none());
    }
}
