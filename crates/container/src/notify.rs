//! Readiness of a container's service, passed on to the service manager of the host; see sd_notify(3).
//!
//! The container gets a directory in which whoever starts it binds a socket. What arrives there is the
//! container's word: only that it is ready is passed on, and with it the number of its first process, which
//! the container cannot know.

use std::ffi::OsStr;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, chmodat, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, recv, sendmsg_addr, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::{Container, Error, Result};

/// Where the container finds the directory, and its socket.
pub(crate) const DIRECTORY: &str = "/run/notify";
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET=/run/notify/notify.sock";

/// How long the service manager may take to handle the message.
const BARRIER_DEADLINE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The socket that a container's service reports its readiness to.
#[derive(Debug)]
pub struct NotifyProxy {
    socket: OwnedFd,
    manager: SocketAddrUnix,
}

impl Container {
    /// Opens the socket for a container that was created with
    /// [`notify`](crate::ContainerBuilder::notify); nothing for any other. `manager` is the value of
    /// `NOTIFY_SOCKET` that the host's service manager gave.
    ///
    /// To be called before the container is started, so that nothing it says is lost.
    pub fn notify_proxy(&self, manager: &OsStr) -> Result<Option<NotifyProxy>> {
        let directory = self.entry.notify();
        directory.is_dir().then(|| NotifyProxy::open(&directory, manager)).transpose()
    }
}

impl NotifyProxy {
    /// Makes the socket in `directory`.
    pub(crate) fn open(directory: &Path, manager: &OsStr) -> Result<Self> {
        let failure = |errno: Errno| Error::file("open the notify socket in", directory, errno);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let place = open(directory, flags, Mode::empty()).map_err(failure)?;
        let socket = datagram().map_err(failure)?;
        // The path may be longer than an address.
        let path = format!("/proc/self/fd/{}/notify.sock", place.as_raw_fd());
        SocketAddrUnix::new(path.as_str())
            .and_then(|address| bind(&socket, &address))
            .map_err(failure)?;
        // Any user of the container may report.
        chmodat(&place, "notify.sock", Mode::from_raw_mode(0o777), rustix::fs::AtFlags::empty())
            .map_err(failure)?;
        Ok(Self { socket, manager: address(manager)? })
    }

    /// Waits until the service is ready and tells the service manager, or until the process behind `pidfd`,
    /// which has the number `pid`, ends. Was it ready?
    pub fn forward(&self, pid: i32, pidfd: impl AsFd) -> Result<bool> {
        let failure = |errno: Errno| Error::file("pass on readiness to", "NOTIFY_SOCKET", errno);
        loop {
            let (said, ended) = self.wait(pidfd.as_fd()).map_err(failure)?;
            if said && self.says_ready().map_err(failure)? {
                let message = format!("READY=1\nMAINPID={pid}");
                self.send(message.as_bytes(), None).map_err(failure)?;
                self.wait_handled().map_err(failure)?;
                return Ok(true);
            }
            if ended && !said {
                return Ok(false);
            }
        }
    }

    /// Waits for a message or the end of the process.
    fn wait(&self, pidfd: BorrowedFd<'_>) -> Result<(bool, bool), Errno> {
        let mut fds =
            [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty()))
    }

    fn says_ready(&self) -> Result<bool, Errno> {
        let mut message = [0; 4096];
        match recv(&self.socket, &mut message, RecvFlags::empty()) {
            Ok((length, _)) => {
                Ok(message[..length].split(|byte| *byte == b'\n').any(|l| l == b"READY=1"))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// The manager closes the descriptor when it has handled all that came before; one that knows nothing of
    /// that closes it, too.
    fn wait_handled(&self) -> Result<(), Errno> {
        let (handled, barrier) = pipe_with(PipeFlags::CLOEXEC)?;
        self.send(b"BARRIER=1", Some(barrier.as_fd()))?;
        drop(barrier);
        poll(&mut [PollFd::new(&handled, PollFlags::IN)], Some(&BARRIER_DEADLINE)).map(drop)
    }

    fn send(&self, message: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let descriptors: Vec<_> = descriptor.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let parts = [IoSlice::new(message)];
        sendmsg_addr(&self.socket, &self.manager, &parts, &mut control, SendFlags::NOSIGNAL)
            .map(drop)
    }
}

fn datagram() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
}

/// A path, or an abstract name after `@`.
fn address(manager: &OsStr) -> Result<SocketAddrUnix> {
    let failure = |errno: Errno| Error::file("use", Path::new(manager), errno);
    match manager.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name).map_err(failure),
        None => SocketAddrUnix::new(Path::new(manager)).map_err(failure),
    }
}
