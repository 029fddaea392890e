//! Where a Unix socket is, however long its path.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, Result};
use rustix::net::SocketAddrUnix;

/// A path whose directory is open: an address has 108 bytes, and a descriptor stands for a longer path.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) directory: OwnedFd,
    pub(crate) name: OsString,
}

impl Place {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
        let name = path.file_name().ok_or(Errno::ISDIR)?.to_owned();
        Ok(Self { path: path.to_owned(), directory, name })
    }

    /// The address, for as long as this lives.
    pub(crate) fn address(&self) -> Result<SocketAddrUnix> {
        let directory = Path::new("/proc/self/fd").join(self.directory.as_raw_fd().to_string());
        SocketAddrUnix::new(directory.join(&self.name))
    }
}
