//! Handing a terminal or a pidfd to whoever waits for it at a socket.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    connect, sendmsg, socket_with,
};

use crate::place::Place;
use crate::{Error, Result};

/// How long whoever listens at a socket may take to accept.
const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);
const HUNG: &str =
    "connecting to the socket of --console-socket or --pidfd-socket: is its listener alive?";

/// A connected socket whose other end waits for a descriptor.
#[derive(Debug)]
pub(crate) struct DescriptorSocket {
    socket: OwnedFd,
    path: PathBuf,
}

impl DescriptorSocket {
    /// Connects to the socket at `path`, however long that is.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        let failure = |errno: Errno| Error::file("connect to", path, errno);
        // What is sent is far shorter than the socket's buffer, so only connecting can have to wait.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failure)?;
        let place = Place::of(path).map_err(failure)?;
        let address = place.address().map_err(failure)?;
        let deadline = Instant::now() + DEADLINE;
        loop {
            match connect(&socket, &address) {
                Ok(()) => return Ok(Self { socket, path: path.into() }),
                // As many wait to be accepted as the listener allows.
                Err(Errno::AGAIN) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(Errno::AGAIN) => return Err(Error::Timeout(HUNG)),
                Err(errno) => return Err(failure(errno)),
            }
        }
    }

    /// Sends the descriptor and `message`: for a terminal its path inside the container.
    pub(crate) fn send(&self, descriptor: impl AsFd, message: &str) -> Result<()> {
        let fds = [descriptor.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let parts = [IoSlice::new(message.as_bytes())];
        sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|errno| Error::file("send a descriptor to", &self.path, errno))
    }
}
