//! AppArmor profiles and SELinux labels for the program that the calling thread executes next.
//!
//! Both are written to attribute files in `/proc/thread-self/attr`. A fake procfs there would swallow the
//! label and leave the program unconfined, so they are written through a verified [`ProcRoot`], which
//! refuses files that something else is mounted on.

#![forbid(unsafe_code)]

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

/// The next execve(2) of this thread runs under the AppArmor profile `name`.
pub fn set_apparmor_exec(proc: &ProcRoot, name: &str) -> Result<(), Error> {
    let content = format!("exec {name}");
    let written = match proc.write("thread-self/attr/apparmor/exec", &content) {
        // The module's own directory exists since Linux 5.8.
        Err(error) if error.errno() == Errno::NOENT => {
            proc.write("thread-self/attr/exec", &content)
        }
        written => written,
    };
    written.map_err(|source| Error { module: "AppArmor", label: name.into(), source })
}

/// The next execve(2) of this thread runs with the SELinux context `label`.
pub fn set_selinux_exec(proc: &ProcRoot, label: &str) -> Result<(), Error> {
    proc.write("thread-self/attr/exec", label).map_err(|source| Error {
        module: "SELinux",
        label: label.into(),
        source,
    })
}
