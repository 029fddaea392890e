//! What can go wrong with mounts.

use std::path::PathBuf;

use coracle_sys::{Errno, SyscallError};

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A step of building a file system tree that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What is to be bind-mounted does not open.
    #[error("cannot open the source {}{}", path.display(), uncopied(source))]
    Source {
        /// The path on the host.
        path: PathBuf,
        /// Why.
        source: SyscallError,
    },
    /// A place inside the root file system does not open or cannot be made.
    #[error("cannot reach {} in the root file system", path.display())]
    Target {
        /// The path as the container sees it.
        path: PathBuf,
        /// Why.
        source: SyscallError,
    },
    /// A place that must not be mounted over.
    #[error("refusing to mount on {}: {reason}", path.display())]
    Forbidden {
        /// The path as the container sees it.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A mount that must stay, or none at all.
    #[error("refusing to unmount {}: {reason}", path.display())]
    Kept {
        /// The path as the container sees it.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// The file system driver refuses.
    #[error("cannot create a {fstype} file system{}", said(.messages))]
    Filesystem {
        /// Its type.
        fstype: String,
        /// What the kernel's log for this mount says.
        messages: Vec<String>,
        /// Why.
        source: SyscallError,
    },
    /// The attributes of a mount cannot be changed.
    #[error("cannot set the attributes of the mount")]
    Attributes(#[source] SyscallError),
    /// The owners of a mount's files cannot be mapped.
    #[error("cannot map the ids of a mount of {fstype}: {hint}")]
    IdMap {
        /// The type of the file system, as far as it can be told.
        fstype: String,
        /// What is needed for it.
        hint: &'static str,
        /// Why.
        source: SyscallError,
    },
    /// A mounted file system cannot be changed.
    #[error("cannot remount {}{hint}", path.display())]
    Remount {
        /// The path as the container sees it.
        path: PathBuf,
        /// What is wrong, where it is known.
        hint: String,
        /// Why.
        source: SyscallError,
    },
    /// A mount cannot be put into its place.
    #[error("cannot attach the mount to {}", path.display())]
    Attach {
        /// The path as the container sees it.
        path: PathBuf,
        /// Why.
        source: SyscallError,
    },
    /// What a directory has cannot be copied into the file system that is to cover it.
    #[error("cannot copy what is in {} (tmpcopyup){}", path.display(), owner_hint(source))]
    CopyUp {
        /// The path as the container sees it.
        path: PathBuf,
        /// Why.
        source: SyscallError,
    },
    /// A device node is wrong or cannot be made.
    #[error("cannot create the device {}", path.display())]
    Device {
        /// The path as the container sees it.
        path: PathBuf,
        /// Why.
        source: SyscallError,
    },
    /// The root cannot be exchanged.
    #[error("cannot make the root file system the root of the container")]
    Pivot(#[source] SyscallError),
    /// A kernel parameter is refused.
    #[error("cannot set the kernel parameter {name}: is it namespaced and the value in range?")]
    Sysctl {
        /// Its name.
        name: String,
        /// Why.
        source: SyscallError,
    },
}

impl Error {
    pub(crate) fn target(
        path: impl Into<PathBuf>,
        call: &'static str,
        args: impl Into<String>,
        errno: impl Into<coracle_sys::Errno>,
    ) -> Self {
        Self::Target { path: path.into(), source: SyscallError::new(call, args, errno) }
    }
}

/// An owner that the user namespace does not know cannot own the copy.
fn owner_hint(source: &SyscallError) -> &'static str {
    match (source.call(), source.errno()) {
        ("fchown" | "fchownat", Errno::INVAL) => {
            ", of which something belongs to nobody in the container: map its owner in \
             /linux/uidMappings and /linux/gidMappings, or leave out tmpcopyup"
        }
        _ => "",
    }
}

fn said(messages: &[String]) -> String {
    if messages.is_empty() { String::new() } else { format!(" ({})", messages.join("; ")) }
}

/// Why the kernel may refuse to copy a mount that is there.
fn uncopied(refusal: &SyscallError) -> &'static str {
    match (refusal.call(), refusal.errno()) {
        ("open_tree", Errno::INVAL) => {
            " (is the mount unbindable, or are there mounts below that a user can only bind with it, by rbind?)"
        }
        _ => "",
    }
}
