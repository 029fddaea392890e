//! Where in a cgroup a process is.

use std::os::fd::OwnedFd;

use coracle_sys::SyscallError;

use crate::dir::open_dir;
use crate::walk::walk;
use crate::{Cgroup, Error, Result};

impl Cgroup {
    /// On v2, the cgroup below this one that the process `pid` is in, if this one has given its controllers
    /// to those below it: then it takes no processes itself (cgroups(7), "no internal processes").
    ///
    /// A container that manages cgroups itself, as one with systemd, has moved its first process there: that
    /// is where another one can go.
    pub fn open_below_of(&self, pid: u32) -> Result<Option<OwnedFd>> {
        let Some(dir) = &self.unified else { return Ok(None) };
        let given = dir.read_if_there("cgroup.subtree_control")?.unwrap_or_default();
        if given.trim().is_empty() {
            return Ok(None);
        }
        let mut found = None;
        let mut look = |cgroup: std::os::fd::BorrowedFd<'_>| {
            if found.is_none() && crate::cgroup::pids_at(cgroup)?.contains(&pid) {
                found = Some(open_dir(cgroup, c".")?);
            }
            Ok(())
        };
        walk(dir.fd()?, &mut look, |_, _| Ok(())).map_err(|errno| {
            Error::read(SyscallError::new("read", dir.path().to_string_lossy(), errno))
        })?;
        Ok(found)
    }
}
