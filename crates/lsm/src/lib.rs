//! AppArmor profiles, SELinux labels and Landlock rules for the program that the calling thread executes next.
//!
//! Profiles and labels are written to attribute files in `/proc/thread-self/attr`. A fake procfs there would swallow the
//! label and leave the program unconfined, so they are written through a verified [`ProcRoot`], which
//! refuses files that something else is mounted on.

#![forbid(unsafe_code)]

pub mod landlock;

use coracle_sys::procfs::ProcRoot;
use coracle_sys::{Errno, SyscallError};

/// A label that could not be set.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot apply the {module} label {label:?}: is {module} enabled on this host and the label loaded?"
)]
pub struct Error {
    module: &'static str,
    label: String,
    source: SyscallError,
}

/// Is AppArmor in force on this host?
pub fn apparmor_is_enabled() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with('Y'))
}

/// Is SELinux in force on this host? Only then the kernel has its file system.
pub fn selinux_is_enabled() -> bool {
    std::fs::read_to_string("/proc/filesystems")
        .is_ok_and(|text| text.lines().any(|line| line.ends_with("\tselinuxfs")))
}

/// The next execve(2) of this thread runs under the AppArmor profile `name`.
///
/// Where the caller's own profile does not let it change to that one, as that of an unprivileged user namespace,
/// the program runs under both.
pub fn set_apparmor_exec(proc: &ProcRoot, name: &str) -> Result<(), Error> {
    let changed = match write_apparmor(proc, &format!("exec {name}")) {
        Err(error) if matches!(error.errno(), Errno::ACCESS | Errno::PERM) => {
            // Of both refusals the first says more.
            write_apparmor(proc, &format!("stack {name}")).map_err(|_| error)
        }
        changed => changed,
    };
    changed.map_err(|source| Error { module: "AppArmor", label: name.into(), source })
}

fn write_apparmor(proc: &ProcRoot, command: &str) -> Result<(), SyscallError> {
    match proc.write("thread-self/attr/apparmor/exec", command) {
        // The module's own directory exists since Linux 5.8.
        Err(error) if error.errno() == Errno::NOENT => proc.write("thread-self/attr/exec", command),
        written => written,
    }
}

/// Keys and keyrings that this thread makes until its next execve(2) have the SELinux context `label`.
pub fn set_selinux_key(proc: &ProcRoot, label: &str) -> Result<(), Error> {
    proc.write("thread-self/attr/keycreate", label).map_err(|source| Error {
        module: "SELinux",
        label: label.into(),
        source,
    })
}

/// The next execve(2) of this thread runs with the SELinux context `label`.
pub fn set_selinux_exec(proc: &ProcRoot, label: &str) -> Result<(), Error> {
    proc.write("thread-self/attr/exec", label).map_err(|source| Error {
        module: "SELinux",
        label: label.into(),
        source,
    })
}
