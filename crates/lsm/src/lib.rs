//! AppArmor profiles and SELinux labels for the program that the calling thread executes next.
//!
//! Both are written to attribute files in `/proc/thread-self/attr`. A fake procfs there would swallow the
//! label and leave the program unconfined, so they are written through a verified
//! [`ProcfsHandle`], which refuses files that something else is mounted on.

#![forbid(unsafe_code)]

use std::io::Write as _;

use coracle_sys::SyscallError;
use pathrs::flags::OpenFlags;
use pathrs::procfs::{ProcfsBase, ProcfsHandle};

/// A label that could not be set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The attribute file does not open.
    #[error("cannot apply the {module} label {label:?}: is {module} enabled on this host?")]
    Open {
        /// `AppArmor` or `SELinux`.
        module: &'static str,
        /// What was asked for.
        label: String,
        /// Why.
        source: Box<pathrs::error::Error>,
    },
    /// The kernel does not take the label.
    #[error("the kernel refuses the {module} label {label:?}: is it loaded?")]
    Refused {
        /// `AppArmor` or `SELinux`.
        module: &'static str,
        /// What was asked for.
        label: String,
        /// Why.
        source: SyscallError,
    },
}

/// The next execve(2) of this thread runs under the AppArmor profile `name`.
pub fn set_apparmor_exec(proc: &ProcfsHandle, name: &str) -> Result<(), Error> {
    let content = format!("exec {name}");
    // The module's own directory exists since Linux 5.8; the shared file may belong to another module.
    match write_attribute(proc, "AppArmor", "attr/apparmor/exec", (name, &content)) {
        Err(Error::Open { .. }) => write_attribute(proc, "AppArmor", "attr/exec", (name, &content)),
        done => done,
    }
}

/// The next execve(2) of this thread runs with the SELinux context `label`.
pub fn set_selinux_exec(proc: &ProcfsHandle, label: &str) -> Result<(), Error> {
    write_attribute(proc, "SELinux", "attr/exec", (label, label))
}

fn write_attribute(
    proc: &ProcfsHandle,
    module: &'static str,
    file: &str,
    (label, content): (&str, &str),
) -> Result<(), Error> {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_CLOEXEC;
    let mut attribute = proc
        .open(ProcfsBase::ProcThreadSelf, file, flags)
        .map_err(|source| Error::Open { module, label: label.into(), source: Box::new(source) })?;
    attribute.write_all(content.as_bytes()).map_err(|error| Error::Refused {
        module,
        label: label.into(),
        source: SyscallError::from_io("write", format!("{file}, {content:?}"), &error),
    })
}
