//! The files of v2 that tell when they change: `cgroup.events`, `memory.events`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use coracle_sys::SyscallError;
use rustix::event::{PollFlags, epoll};
use rustix::fs::OFlags;
use rustix::io::{Errno, pread};

use crate::dir::Dir;
use crate::{Error, Result};

/// A file that tells when it changes. Its descriptor is readable from a change until [`EventFile::read`].
#[derive(Debug)]
pub(crate) struct EventFile {
    fd: OwnedFd,
    /// The file tells of a change by `POLLPRI`, and is readable always. An epoll descriptor turns the one
    /// into the other. Inotify would do too, but a user has few instances of it.
    changed: OwnedFd,
    directory: PathBuf,
    name: &'static str,
}

impl EventFile {
    /// Opens it. A change before the first [`EventFile::read`] is told of, or one that never was.
    pub(crate) fn open(dir: &Dir, name: &'static str) -> Result<Self> {
        let fd = dir.open(name, OFlags::RDONLY)?;
        let failed = |call| move |errno| Error::read(SyscallError::new(call, name, errno));
        let changed =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create1"))?;
        epoll::add(&changed, &fd, epoll::EventData::new_u64(0), epoll::EventFlags::PRI)
            .map_err(failed("epoll_ctl"))?;
        Ok(Self { fd, changed, directory: dir.path().to_owned(), name })
    }

    /// What it says now.
    pub(crate) fn read(&self) -> Result<String> {
        let mut text = [0_u8; 1024];
        match pread(&self.fd, &mut text, 0) {
            Ok(length) => Ok(String::from_utf8_lossy(&text[..length]).into_owned()),
            Err(Errno::NODEV) => Err(Error::Gone { path: self.directory.clone() }),
            Err(errno) => {
                let path = self.directory.join(self.name);
                Err(Error::read(SyscallError::new("pread", path.to_string_lossy(), errno)))
            }
        }
    }

    /// Waits until it has changed since it was last read; whether it did in the time given.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<bool> {
        Ok(!super::wait(self, PollFlags::IN, timeout)?.is_empty())
    }
}

impl AsFd for EventFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.changed.as_fd()
    }
}
