//! What can go wrong, named by what failed for the user.

use std::path::PathBuf;
use std::time::Duration;

use coracle_sys::{Errno, SyscallError};

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on control groups failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state of a cgroup, or the list of hierarchies, could not be read.
    #[error("cannot read the state of cgroups: {source}")]
    Read {
        /// The call that failed.
        source: SyscallError,
    },

    /// A file of the kernel holds what this crate does not understand.
    #[error(
        "{path} holds {found:?} instead of {expected}; please report it with your kernel's version"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },

    /// No cgroup filesystem is mounted.
    #[error("no cgroup filesystem is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup")]
    NoHierarchy,

    /// The path of a cgroup cannot be used.
    #[error("the cgroup path {path:?} {reason}")]
    InvalidPath {
        /// The path as given.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },

    /// The cgroup to create exists and has processes.
    #[error(
        "the cgroup {path} exists and is not empty: it has {processes} process(es); \
         choose another path, or end them first"
    )]
    NotEmpty {
        /// Its directory.
        path: PathBuf,
        /// How many processes it has, with those of its sub-cgroups.
        processes: usize,
    },

    /// The cgroup to create, or one above it, is frozen: a process started in it would not run.
    #[error("the cgroup {path} is frozen; thaw it, or the one above it, or choose another path")]
    Frozen {
        /// Its directory.
        path: PathBuf,
    },

    /// A cgroup could not be created.
    #[error("cannot create the cgroup: {source}{hint}")]
    Create {
        /// The call that failed.
        source: SyscallError,
        /// What the user can do, or nothing.
        hint: &'static str,
    },

    /// A setting was asked for that no hierarchy here offers.
    #[error("cannot set {setting}: controller {controller} {reason}")]
    MissingController {
        /// The controller, as the kernel names it.
        controller: String,
        /// What was to be set.
        setting: String,
        /// Why it is missing.
        reason: String,
    },

    /// The kernel refused a change of the cgroup: a limit, a process, a state.
    #[error("the kernel refused it: {source}{hint}")]
    Refused {
        /// The call that failed, with the file and the value.
        source: SyscallError,
        /// What the user can do, or nothing.
        hint: &'static str,
    },

    /// A value that no kernel would take, found before anything was changed.
    #[error("{setting} = {value}: {reason}")]
    InvalidValue {
        /// The setting.
        setting: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The cgroup was removed, by another program or before.
    #[error("the cgroup {path} is gone: somebody removed it")]
    Gone {
        /// Its directory.
        path: PathBuf,
    },

    /// systemd, which is to manage the cgroup, does not do what it is asked to.
    #[error("cannot {action}")]
    Systemd {
        /// What it was asked, as "start the unit by systemd".
        action: &'static str,
        /// Why not.
        source: crate::BusError,
    },

    /// The cgroup did not reach a state in the time given.
    #[error("could not {action} the cgroup {path} within {after:?}: {processes} process(es) in it")]
    Timeout {
        /// What was tried: `freeze`, `kill` or `remove`.
        action: &'static str,
        /// Its directory.
        path: PathBuf,
        /// The time given.
        after: Duration,
        /// How many processes were in it at the end.
        processes: usize,
    },
}

impl Error {
    pub(crate) fn read(source: SyscallError) -> Self {
        Self::Read { source }
    }

    pub(crate) fn create(source: SyscallError) -> Self {
        let hint = hint(source.errno(), "");
        Self::Create { source, hint }
    }

    pub(crate) fn refused(source: SyscallError, file: &str) -> Self {
        let hint = hint(source.errno(), file);
        Self::Refused { source, hint }
    }

    /// The errno of the system call that failed, if one did.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Read { source } | Self::Create { source, .. } | Self::Refused { source, .. } => {
                Some(source.errno())
            }
            _ => None,
        }
    }

    /// Whether the caller lacks the permission, or the filesystem is read-only for it.
    pub fn is_permission(&self) -> bool {
        matches!(self.errno(), Some(Errno::PERM | Errno::ACCESS | Errno::ROFS))
    }

    /// Whether a controller or one of its files does not exist here.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::MissingController { .. })
    }
}

/// What a user can do about an errno of a cgroup file, as the tail of a message.
fn hint(errno: Errno, file: &str) -> &'static str {
    match (errno, file) {
        (Errno::PERM | Errno::ACCESS | Errno::ROFS, _) => {
            "; run as root, or have this cgroup delegated to you"
        }
        (Errno::BUSY | Errno::OPNOTSUPP, "cgroup.subtree_control") => {
            "; the cgroup has processes of its own: move them to a sub-cgroup, \
             or choose a path below an empty one"
        }
        (Errno::BUSY, "memory.limit_in_bytes" | "memory.memsw.limit_in_bytes") => {
            "; more memory than that is in use: ask for more, or free some first"
        }
        (Errno::INVAL, "memory.memsw.limit_in_bytes") => {
            "; the limit of memory and swap together must not be below that of memory"
        }
        (Errno::INVAL, "cpu.weight" | "cpu.shares") => {
            "; an idle cgroup has none: unset idle first"
        }
        (Errno::INVAL, "cpu.cfs_quota_us" | "cpu.cfs_period_us" | "cpu.max") => {
            "; quota and period are 1000 to 1000000 µs, and no more than the parent has"
        }
        (Errno::INVAL, "cpu.cfs_burst_us" | "cpu.max.burst") => "; burst must not exceed the quota",
        (Errno::INVAL, "cpu.rt_runtime_us" | "cpu.rt_period_us") => {
            "; the parent must have at least as much real-time runtime per period"
        }
        (Errno::INVAL | Errno::RANGE, "cpuset.cpus" | "cpuset.mems") => {
            "; name only what the parent's cpuset has"
        }
        (Errno::NOSPC, "cgroup.procs" | "tasks") => "; cpuset.cpus or cpuset.mems is empty",
        (Errno::OPNOTSUPP, "cgroup.procs") => "; the cgroup is in threaded mode",
        (Errno::AGAIN, "cgroup.procs" | "tasks") => "; the limit of its processes is reached",
        (Errno::INVAL, "cpu.pressure" | "memory.pressure" | "io.pressure") => {
            "; the window is 500 ms to 10 s, without CAP_SYS_RESOURCE a multiple of 2 s, and the \
             stall is not longer"
        }
        (Errno::NODEV, "rdma.max") => "; no such RDMA device: `rdma dev` lists them",
        (Errno::NODEV, "io.max" | "io.weight" | "io.bfq.weight") => "; no such block device",
        (Errno::NODEV, file) if file.starts_with("blkio.") => "; no such block device",
        (Errno::OPNOTSUPP, "io.weight" | "io.bfq.weight" | "blkio.bfq.weight_device") => {
            "; the device's scheduler knows no weights: write bfq to its queue/scheduler in /sys/block"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_file_value_errno_and_remedy() {
        let args = "/sys/fs/cgroup/memory/x/memory.limit_in_bytes, \"4096\"";
        let call = SyscallError::new("write", args, Errno::BUSY);
        let error = Error::refused(call, "memory.limit_in_bytes");
        assert_eq!(
            error.to_string(),
            "the kernel refused it: write(/sys/fs/cgroup/memory/x/memory.limit_in_bytes, \"4096\"): \
             EBUSY (device or resource busy); more memory than that is in use: ask for more, or \
             free some first"
        );
        assert_eq!(error.errno(), Some(Errno::BUSY));
        assert!(!error.is_permission());
    }
}
