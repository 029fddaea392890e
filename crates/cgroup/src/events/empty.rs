//! A cgroup whose last process has ended: `cgroup.events` of v2.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use super::EventFile;
use crate::v2::events::{Events, FILE};
use crate::{Cgroup, Error, Result};

/// How often to look where nothing tells.
const PAUSE: Duration = Duration::from_millis(20);

/// Tells when the last process of a cgroup has ended, or the first one has come.
///
/// Its descriptor becomes readable then, and stays so until [`EmptyWatch::is_empty`]. It can be polled, or
/// given to tokio as `AsyncFd::new(watch)`.
#[derive(Debug)]
pub struct EmptyWatch(EventFile);

impl Cgroup {
    /// Watches for the end of the last process. Needs no privilege.
    ///
    /// Also on hybrid hosts it is v2 that tells. `None` on a host with v1 alone, where nothing does:
    /// [`Cgroup::wait_empty`] looks there again and again, and so must an event loop.
    pub fn watch_empty(&self) -> Result<Option<EmptyWatch>> {
        let Some(dir) = &self.unified else { return Ok(None) };
        EventFile::open(dir, FILE).map(|file| Some(EmptyWatch(file)))
    }

    /// Waits until there is no living process in the cgroup or below it; whether that came about in the
    /// time given. One that was removed has none.
    pub fn wait_empty(&self, timeout: Duration) -> Result<bool> {
        let start = Instant::now();
        let watch = match self.watch_empty() {
            Err(Error::Gone { .. }) => return Ok(true),
            watch => watch?,
        };
        loop {
            let is_empty = match &watch {
                Some(watch) => watch.is_empty()?,
                None => self.all_pids()?.is_empty(),
            };
            if is_empty {
                return Ok(true);
            }
            let Some(left) = timeout.checked_sub(start.elapsed()) else { return Ok(false) };
            match &watch {
                Some(watch) => drop(watch.0.wait(left)?),
                None => std::thread::sleep(left.min(PAUSE)),
            }
        }
    }
}

impl EmptyWatch {
    /// Whether there is no living process in the cgroup or below it now. One that was removed has none.
    pub fn is_empty(&self) -> Result<bool> {
        match self.0.read() {
            Err(Error::Gone { .. }) => Ok(true),
            text => Ok(!Events::parse(&text?).populated),
        }
    }
}

/// For event loops that want a number, as tokio's.
impl AsRawFd for EmptyWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for EmptyWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
