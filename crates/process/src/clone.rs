//! Forking, for programs with one thread.

use coracle_sys::clone::{CloneArgs, Forked, clone3};

use crate::{Error, Result};

/// Proof that the calling process has one thread.
///
/// Only code of this thread could start another one, so the proof holds as long as it does not.
#[derive(Debug)]
pub struct SingleThreaded(());

impl SingleThreaded {
    /// Counts the threads in `/proc/self/task`.
    pub fn witness() -> Result<Self> {
        let stat = rustix::fs::stat("/proc/self/task").map_err(|errno| {
            Error::syscall(
                "cannot count threads: is /proc mounted?",
                "stat",
                "/proc/self/task",
                errno,
            )
        })?;
        // A directory has one link from its parent, one from itself, one from each subdirectory.
        if stat.st_nlink == 3 { Ok(Self(())) } else { Err(Error::Threads) }
    }
}

/// Forks with clone3(2). The child must leave by execve(2) or `coracle_sys::exec::exit_now`.
pub fn fork(args: &CloneArgs<'_>, _: &SingleThreaded) -> Result<Forked> {
    #[expect(unsafe_code, reason = "the one fork of the workspace outside coracle-sys")]
    // SAFETY: the witness proves that there is one thread.
    let forked = unsafe { clone3(args) };
    forked.map_err(|source| Error::Syscall { what: "cannot create the process", source })
}
