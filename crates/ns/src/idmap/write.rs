//! Writing the maps of a process in a new user namespace.

use std::os::fd::{AsFd, BorrowedFd};

use coracle_sys::SyscallError;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;

use super::{IdMap, helper};
use crate::{Error, Result};

/// Writes both maps of the process `pid`, the first one in its user namespace. `proc` is an open procfs.
///
/// The caller stands outside, in the parent namespace. With `CAP_SETUID` and `CAP_SETGID` there it
/// writes itself; a user without them may map its own id alone, after setgroups(2) is switched off, and
/// anything else goes through newuidmap(1) and newgidmap(1), which follow `/etc/subuid` and `/etc/subgid`.
pub fn write_maps(proc: impl AsFd, pid: Pid, uids: &IdMap, gids: &IdMap) -> Result<()> {
    let process = Process { proc: proc.as_fd(), pid };
    if uids.is_single(rustix::process::geteuid().as_raw())
        && gids.is_single(rustix::process::getegid().as_raw())
        && !rustix::process::geteuid().is_root()
    {
        process.write("setgroups", "deny")?;
        process.write("uid_map", &uids.to_string())?;
        return process.write("gid_map", &gids.to_string());
    }
    match process.write("uid_map", &uids.to_string()) {
        Err(Error::IdMap { source: Some(error), .. }) if error.errno() == Errno::PERM => {
            helper::run("newuidmap", "/etc/subuid", pid, uids)?;
            helper::run("newgidmap", "/etc/subgid", pid, gids)
        }
        Err(error) => Err(error),
        Ok(()) => process.write("gid_map", &gids.to_string()),
    }
}

/// A process as its directory in procfs.
struct Process<'fd> {
    proc: BorrowedFd<'fd>,
    pid: Pid,
}

impl Process<'_> {
    fn write(&self, file: &'static str, content: &str) -> Result<()> {
        let path = format!("{}/{file}", self.pid.as_raw_nonzero());
        let refused = |call, errno| Error::IdMap {
            file,
            hint: "the ranges must not overlap and must be mapped for the caller".into(),
            source: Some(SyscallError::new(
                call,
                format!("{path}, {:?}", content.trim_end()),
                errno,
            )),
        };
        let fd = openat(self.proc, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| refused("open", errno))?;
        rustix::io::write(&fd, content.as_bytes())
            .map(drop)
            .map_err(|errno| refused("write", errno))
    }
}
