//! What can go wrong with processes.

use coracle_sys::SyscallError;
use rustix::io::Errno;

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a process that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused; the call says what.
    #[error("{what}")]
    Syscall {
        /// What was being done, as "cannot set the groups".
        what: &'static str,
        /// Why.
        source: SyscallError,
    },
    /// The program has more than one thread, so that forking it is unsound.
    #[error("this process has more than one thread: it cannot fork")]
    Threads,
    /// The program to run is not there.
    #[error(
        "executable file not found in $PATH: {0:?}: name an existing file of the root file system"
    )]
    NotFound(String),
    /// The program to run is there, but cannot be executed.
    #[error("cannot execute {path:?}")]
    NotExecutable {
        /// Where it was found.
        path: String,
        /// Why.
        source: SyscallError,
    },
    /// A string for the kernel has a NUL byte in it.
    #[error("{0:?} has a NUL byte")]
    Nul(String),
    /// No signal has this name or number.
    #[error("unknown signal {0:?}: give a name like TERM or SIGTERM, or a number from 1 to 64")]
    UnknownSignal(String),
    /// A helper program failed, or took too long.
    #[error("{how}{}", said(output))]
    Helper {
        /// As "exit status 1".
        how: String,
        /// The end of what it wrote.
        output: String,
    },
    /// A message that is longer than agreed, or lost its descriptors.
    #[error("a truncated message arrived from the other process")]
    Truncated,
}

fn said(output: &str) -> String {
    if output.is_empty() { " without a word".to_owned() } else { format!("; it wrote: {output}") }
}

impl Error {
    /// What the kernel said, where it said something.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Syscall { source, .. } | Self::NotExecutable { source, .. } => {
                Some(source.errno())
            }
            _ => None,
        }
    }

    pub(crate) fn syscall(
        what: &'static str,
        call: &'static str,
        args: impl Into<String>,
        errno: Errno,
    ) -> Self {
        Self::Syscall { what, source: SyscallError::new(call, args, errno) }
    }
}
