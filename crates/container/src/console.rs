//! Handing a terminal, a pidfd or a seccomp listener to whoever waits for it at a socket.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    connect, send, sendmsg, socket_with,
};

use crate::place::Place;
use crate::{Error, Result};

/// How long whoever listens at a socket may take to accept.
const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// A connected socket whose other end waits for a descriptor.
#[derive(Debug)]
pub(crate) struct DescriptorSocket {
    socket: OwnedFd,
    path: PathBuf,
}

impl DescriptorSocket {
    /// Connects to the socket at `path`, however long that is. `hung` is what it means that nobody accepts.
    pub(crate) fn connect(path: &Path, hung: &'static str) -> Result<Self> {
        let failure = |errno: Errno| Error::file("connect to", path, errno);
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
                Err(Errno::AGAIN) => return Err(Error::Timeout(hung)),
                Err(errno) => return Err(failure(errno)),
            }
        }
    }

    /// Sends the descriptor and `message`: for a terminal its path inside the container.
    ///
    /// A message that does not fit into the socket's buffer waits for whoever reads.
    pub(crate) fn send(&self, descriptor: impl AsFd, message: &str) -> Result<()> {
        let fds = [descriptor.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let failure = |errno| Error::file("send a descriptor to", &self.path, errno);
        let parts = [IoSlice::new(message.as_bytes())];
        let mut sent =
            sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL).map_err(failure)?;
        let timeout = Timespec::try_from(DEADLINE).ok();
        while let Some(rest) = message.as_bytes().get(sent..).filter(|rest| !rest.is_empty()) {
            sent += match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Err(Errno::AGAIN) => {
                    let mut fds = [PollFd::new(&self.socket, PollFlags::OUT)];
                    match poll(&mut fds, timeout.as_ref()).map_err(failure)? {
                        0 => return Err(failure(Errno::TIMEDOUT)),
                        _ => 0,
                    }
                }
                part => part.map_err(failure)?,
            };
        }
        Ok(())
    }
}
