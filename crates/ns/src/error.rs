//! What can go wrong with namespaces.

use std::path::PathBuf;

use coracle_sys::SyscallError;

use crate::{KindSet, NamespaceKind};

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A namespace that could not be opened, entered or set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path of a namespace does not open.
    #[error("cannot open the {kind} namespace {}", path.display())]
    Open {
        /// The kind that was expected there.
        kind: NamespaceKind,
        /// Where.
        path: PathBuf,
        /// Why.
        source: SyscallError,
    },
    /// The path is not a namespace of the expected kind.
    #[error("{} is not a {kind} namespace: give a file like /proc/PID/ns/{}", path.display(), kind.file_name())]
    WrongKind {
        /// The kind that was expected there.
        kind: NamespaceKind,
        /// Where.
        path: PathBuf,
    },
    /// The kernel refused to let the caller in.
    #[error("cannot join the {kind} namespace")]
    Join {
        /// Which.
        kind: NamespaceKind,
        /// Why.
        source: SyscallError,
    },
    /// The kernel refused to let the caller into the namespaces of a process, or the process has ended.
    #[error("cannot join the namespaces of the process ({})", names(*kinds))]
    JoinProcess {
        /// Which.
        kinds: KindSet,
        /// Why.
        source: SyscallError,
    },
    /// The kernel refused to make one.
    #[error("cannot create a {kind} namespace")]
    Create {
        /// Which.
        kind: NamespaceKind,
        /// Why.
        source: SyscallError,
    },
    /// A namespace cannot be kept alive by a mount, or the mount not be removed.
    #[error("cannot pin the namespace at {}", path.display())]
    Pin {
        /// Where the mount is.
        path: PathBuf,
        /// Why.
        source: SyscallError,
    },
    /// An id map was refused.
    #[error("cannot write the {file} of the new user namespace: {hint}")]
    IdMap {
        /// `uid_map`, `gid_map` or `setgroups`.
        file: &'static str,
        /// What the user can do.
        hint: String,
        /// Why, where the kernel said it.
        source: Option<SyscallError>,
    },
    /// The clock offsets were refused.
    #[error(
        "cannot set the offsets of the new time namespace (it needs CAP_SYS_TIME in it, and no clock may \
         come to less than 0)"
    )]
    TimeOffsets(#[source] SyscallError),
    /// The host or domain name was refused.
    #[error("cannot set the {what} (it needs a uts namespace of the container's own)")]
    Name {
        /// `hostname` or `domainname`.
        what: &'static str,
        /// Why.
        source: SyscallError,
    },
}

fn names(kinds: KindSet) -> String {
    kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// What the kernel said, where it said something.
    pub fn errno(&self) -> Option<coracle_sys::Errno> {
        match self {
            Self::Open { source, .. }
            | Self::Join { source, .. }
            | Self::JoinProcess { source, .. }
            | Self::Create { source, .. }
            | Self::Pin { source, .. }
            | Self::TimeOffsets(source)
            | Self::Name { source, .. } => Some(source.errno()),
            Self::IdMap { source, .. } => source.as_ref().map(SyscallError::errno),
            Self::WrongKind { .. } => None,
        }
    }
}
