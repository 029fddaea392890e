//! A descriptor of a namespace, checked to be one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use coracle_sys::procfs::ProcRoot;
use coracle_sys::{SyscallError, nsfs};
use rustix::fs::{Mode, OFlags, fstat, open, openat, stat};

use crate::{Error, NamespaceKind, Result};

/// An open namespace of a known kind. It keeps the namespace alive.
#[derive(Debug)]
pub struct NsFd {
    kind: NamespaceKind,
    fd: OwnedFd,
}

impl NsFd {
    /// Opens the namespace at `path`, as `/proc/PID/ns/net` or a bind mount of it, and checks its kind.
    pub fn open(path: impl AsRef<Path>, kind: NamespaceKind) -> Result<Self> {
        let path = path.as_ref();
        // A FIFO in its place must not hang the open, a terminal must not become ours.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = open(path, flags, Mode::empty()).map_err(|errno| Error::Open {
            kind,
            path: path.into(),
            source: SyscallError::new("open", path.display().to_string(), errno),
        })?;
        Self::verified(fd, kind, path)
    }

    /// The namespace `name` of a process, as a verified procfs has it: `process` is its number there, or `self`.
    pub(crate) fn of_process(
        proc: &ProcRoot,
        (process, name): (&str, &str),
        kind: NamespaceKind,
    ) -> Result<Self> {
        let directory = format!("{process}/ns");
        let path = format!("/proc/{directory}/{name}");
        let failure = |source| Error::Open { kind, path: path.as_str().into(), source };
        let found =
            proc.open_file(&directory, OFlags::PATH | OFlags::DIRECTORY).map_err(failure)?;
        let fd = openat(found, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failure(SyscallError::new("openat", name, errno)))?;
        Self::verified(fd, kind, &path)
    }

    /// What was opened at `path`, if it is of this kind.
    fn verified(fd: OwnedFd, kind: NamespaceKind, path: impl AsRef<Path>) -> Result<Self> {
        match nsfs::namespace_type(&fd) {
            Ok(found) if found == kind.flag().bits() => Ok(Self { kind, fd }),
            _ => Err(Error::WrongKind { kind, path: path.as_ref().into() }),
        }
    }

    /// Is it the one that the caller is in?
    pub fn is_callers(&self) -> bool {
        let own = stat(Path::new("/proc/self/ns").join(self.kind.file_name()));
        let same = |own: rustix::fs::Stat| {
            fstat(&self.fd).is_ok_and(|this| (this.st_dev, this.st_ino) == (own.st_dev, own.st_ino))
        };
        own.is_ok_and(same)
    }

    /// Its kind.
    pub fn kind(&self) -> NamespaceKind {
        self.kind
    }
}

impl AsFd for NsFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<NsFd> for OwnedFd {
    fn from(ns: NsFd) -> Self {
        ns.fd
    }
}
