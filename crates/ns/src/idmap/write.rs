//! Writing the maps of a process in a new user namespace.

use coracle_sys::procfs::ProcRoot;
use rustix::io::Errno;
use rustix::process::Pid;

use super::{IdMap, helper};
use crate::{Error, Result};

/// Writes both maps of the process `pid`, the first one in its user namespace.
///
/// The caller stands outside, in the parent namespace. With `CAP_SETUID` and `CAP_SETGID` there it
/// writes itself; a user without them may map its own id alone, after setgroups(2) is switched off, and
/// anything else goes through newuidmap(1) and newgidmap(1), which follow `/etc/subuid` and `/etc/subgid`.
pub fn write_maps(proc: &ProcRoot, pid: Pid, uids: &IdMap, gids: &IdMap) -> Result<()> {
    let process = Process { proc, pid };
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

/// A process in an open procfs.
struct Process<'fd> {
    proc: &'fd ProcRoot,
    pid: Pid,
}

impl Process<'_> {
    fn write(&self, file: &'static str, content: &str) -> Result<()> {
        let path = format!("{}/{file}", self.pid.as_raw_nonzero());
        self.proc.write(&path, content).map_err(|source| Error::IdMap {
            file,
            hint: "the ranges must not overlap and must be mapped for the caller".into(),
            source: Some(source),
        })
    }
}
