//! Removing a cgroup and all below it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use coracle_sys::SyscallError;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::walk::walk;
use crate::{Cgroup, Error, Result};

const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

impl Cgroup {
    /// Removes the cgroup in every hierarchy, with all sub-cgroups. Those that are gone count as
    /// removed; those above it stay, as others may be about to use them.
    ///
    /// Kills nothing: see [`Cgroup::kill`]. The kernel refuses while processes are dying, so that
    /// is tried again until the time given is over ([`Error::Timeout`]).
    pub fn remove(&self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let mut pause = FIRST_PAUSE;
        let mut left: Vec<_> = self.dirs().collect();
        loop {
            let mut busy = Vec::new();
            for dir in left {
                if !remove_all(dir)? {
                    busy.push(dir);
                }
            }
            if busy.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return self.timeout("remove", timeout);
            }
            sleep(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
            left = busy;
        }
    }
}

/// Whether the directory is gone with all below it.
fn remove_all(dir: &Dir) -> Result<bool> {
    if !dir.is_checked()? || remove_one(dir)? {
        return Ok(true);
    }
    let below = walk(
        dir.fd()?,
        |_| Ok(()),
        |parent, name| {
            match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                // What cannot be removed now, the next attempt finds again.
                Err(Errno::BUSY | Errno::NOTEMPTY | Errno::NOENT | Errno::NODEV) => Ok(()),
                result => result,
            }
        },
    );
    match below {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => remove_one(dir),
        Err(errno) => Err(refused(dir, errno)),
    }
}

fn remove_one(dir: &Dir) -> Result<bool> {
    match rustix::fs::rmdir(dir.path()) {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(true),
        Err(Errno::BUSY | Errno::NOTEMPTY) => Ok(false),
        Err(errno) => Err(refused(dir, errno)),
    }
}

fn refused(dir: &Dir, errno: Errno) -> Error {
    Error::refused(SyscallError::new("rmdir", dir.path().to_string_lossy(), errno), "")
}
