//! Who a process runs as.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// User, groups and umask of a process; see credentials(7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The user id.
    pub uid: u32,
    /// The primary group id.
    pub gid: u32,
    /// The supplementary groups; nothing leaves them, where setgroups(2) is denied.
    pub groups: Option<Vec<u32>>,
    /// The file mode creation mask.
    pub umask: u32,
}

impl Credentials {
    /// Gives the calling thread these credentials. `CAP_SETGID` and `CAP_SETUID`, unless they are its own.
    ///
    /// The C library's other threads keep theirs: this is for a program with one thread.
    pub fn apply(&self) -> Result<()> {
        use rustix::process::{Gid, Uid};
        if let Some(groups) = &self.groups {
            let groups: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
            set_thread_groups(&groups).map_err(|errno| {
                let what =
                    "cannot set the supplementary groups: are they mapped in the user namespace?";
                Error::syscall(what, "setgroups", format!("{:?}", self.groups), errno)
            })?;
        }
        let gid = Gid::from_raw(self.gid);
        set_thread_res_gid(gid, gid, gid).map_err(|errno| refused("setresgid", self.gid, errno))?;
        let uid = Uid::from_raw(self.uid);
        set_thread_res_uid(uid, uid, uid).map_err(|errno| refused("setresuid", self.uid, errno))?;
        rustix::process::umask(Mode::from_bits_truncate(self.umask));
        Ok(())
    }
}

fn refused(call: &'static str, id: u32, errno: Errno) -> Error {
    let what = "cannot switch to the user: is its id mapped in the user namespace?";
    Error::syscall(what, call, id.to_string(), errno)
}
