//! New file systems by fsopen(2), with the driver's own words in the error.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use coracle_sys::SyscallError;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen,
};
use serde::{Deserialize, Serialize};

use crate::{Error, MountFlags, Result};

/// A file system to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Its type, as `tmpfs`; see filesystems(5).
    pub fstype: String,
    /// What mountinfo shows as its source; for some types a device.
    pub source: Option<String>,
    /// What the driver is told.
    pub parameters: Vec<Parameter>,
    /// Of a tmpfs: it begins with a copy of what the place has where it is mounted.
    pub copy_up: bool,
}

/// A parameter for a file system driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub key: String,
    /// Its value; nothing for a flag.
    pub value: Option<String>,
}

/// The parameters of SELinux. mount(2) wants quotes around the commas of their values, fsconfig(2) none.
pub(crate) const LABELS: [&str; 4] = ["context", "defcontext", "fscontext", "rootcontext"];

impl Parameter {
    /// The parameter `key` with a `value`.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }

    /// A flag, or `key=value`.
    pub fn parse(word: &str) -> Self {
        match word.split_once('=') {
            Some((key, value)) if LABELS.contains(&key) => Self::new(key, value.trim_matches('"')),
            Some((key, value)) => Self::new(key, value),
            None => Self { key: word.into(), value: None },
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl Filesystem {
    /// A file system of this type with neither source nor parameters.
    pub fn new(fstype: impl Into<String>) -> Self {
        Self { fstype: fstype.into(), source: None, parameters: Vec::new(), copy_up: false }
    }

    /// Makes the file system and a detached mount of it with these flags.
    pub(crate) fn mount(&self, flags: MountFlags) -> Result<OwnedFd> {
        let context =
            fsopen(self.fstype.as_str(), FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| {
                let (fstype, messages) = (self.fstype.clone(), Vec::new());
                let source = SyscallError::new("fsopen", &fstype, errno);
                Error::Filesystem { fstype, messages, source }
            })?;
        let refused = |source| {
            let (fstype, messages) = (self.fstype.clone(), log_of(&context));
            Error::Filesystem { fstype, messages, source }
        };
        let source = self.source.as_ref().map(|source| Parameter::new("source", source));
        configure(&context, source.iter().chain(&self.parameters)).map_err(refused)?;
        fsconfig_create(context.as_fd())
            .map_err(|errno| refused(SyscallError::new("fsconfig", "CMD_CREATE", errno)))?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags.to_rustix())
            .map_err(|errno| refused(SyscallError::new("fsmount", format!("{flags:?}"), errno)))
    }
}

/// Tells the driver its parameters.
pub(crate) fn configure<'parameter>(
    context: &OwnedFd,
    parameters: impl IntoIterator<Item = &'parameter Parameter>,
) -> Result<(), SyscallError> {
    for parameter in parameters {
        let key = parameter.key.as_str();
        match &parameter.value {
            Some(value) => fsconfig_set_string(context.as_fd(), key, value.as_str()),
            None => fsconfig_set_flag(context.as_fd(), key),
        }
        .map_err(|errno| SyscallError::new("fsconfig", parameter.to_string(), errno))?;
    }
    Ok(())
}

/// The messages that the driver left for us: lines like `e tmpfs: Unknown parameter 'x'`.
pub(crate) fn log_of(context: &OwnedFd) -> Vec<String> {
    let mut messages = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut buffer) {
        let line = String::from_utf8_lossy(&buffer[..length]);
        messages.push(line.trim().trim_start_matches(['e', 'w', 'i']).trim().to_owned());
    }
    messages
}
