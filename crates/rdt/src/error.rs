//! What can go wrong with classes of service.

use std::path::PathBuf;

use coracle_sys::SyscallError;

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A class of service that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no resctrl file system.
    #[error(
        "no resctrl file system is mounted: on a processor that has Intel RDT or its like, \
         mount -t resctrl resctrl /sys/fs/resctrl"
    )]
    NotMounted,
    /// A file of the file system is refused.
    #[error("{source}{}", .status.as_deref().map(|status| format!(" ({status})")).unwrap_or_default())]
    File {
        /// Why.
        source: SyscallError,
        /// What the kernel adds in its file `info/last_cmd_status`.
        status: Option<String>,
    },
    /// A group that others use has other shares than those that were asked for.
    #[error(
        "the class of service {} is there and has {found:?} for {asked:?}: ask for the same, or for none",
        path.display()
    )]
    Differs {
        /// The group.
        path: PathBuf,
        /// The line that was asked for.
        asked: String,
        /// The line of the group for the same resource; empty if there is none.
        found: String,
    },
    /// A file does not have the form that the kernel documents.
    #[error("{} holds {found:?}, which is not {expected}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is in it.
        found: String,
        /// What should be.
        expected: &'static str,
    },
}
