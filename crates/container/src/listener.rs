//! Receiving the terminals of containers: the other end of a console socket.

use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Stat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    accept_with, bind, connect, listen, recvmsg, socket_with,
};

use crate::place::Place;
use crate::{Error, Result};

/// How many may wait to be accepted.
const BACKLOG: i32 = 128;

/// A Unix socket at which terminals of containers arrive, as for
/// [`ContainerBuilder::console_socket`](crate::ContainerBuilder::console_socket).
///
/// It becomes readable when somebody connects. Dropping it removes the socket's file.
#[derive(Debug)]
pub struct ConsoleListener {
    socket: OwnedFd,
    file: SocketFile,
}

impl ConsoleListener {
    /// Listens at `path`, however long that is; its last part has at most 80 bytes. A socket that nobody
    /// listens at any more is replaced; anything else there is left alone and an error.
    pub fn bind(path: &Path) -> Result<Self> {
        let failure = |error| Error::file("listen at", path, error);
        let place = Place::of(path).map_err(|errno| failure(errno.into()))?;
        place.make_free().map_err(failure)?;
        let attempt = || {
            let socket = socket(SocketType::STREAM)?;
            bind(&socket, &place.address()?)?;
            // From here on it is ours to be removed.
            let file = SocketFile { identity: identity(&place.stat()?), place };
            listen(&socket, BACKLOG)?;
            Ok::<_, Errno>(Self { socket, file })
        };
        attempt().map_err(|errno| failure(errno.into()))
    }

    /// Accepts who connects; waits until somebody does.
    pub fn accept(&self) -> Result<ConsoleConnection> {
        let path = &self.file.place.path;
        loop {
            match accept_with(&self.socket, SocketFlags::CLOEXEC) {
                Ok(socket) => return Ok(ConsoleConnection { socket, path: path.clone() }),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => return Err(Error::file("accept a connection at", path, errno)),
            }
        }
    }
}

impl AsFd for ConsoleListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Somebody who has connected to send a terminal. It becomes readable when the terminal comes.
#[derive(Debug)]
pub struct ConsoleConnection {
    socket: OwnedFd,
    path: PathBuf,
}

impl ConsoleConnection {
    /// Receives the controlling side of the terminal; waits until it comes or the connection ends.
    pub fn receive(self) -> Result<OwnedFd> {
        let failure = |error| Error::file("receive a terminal at", &self.path, error);
        // Its name in the container comes with it.
        let mut name = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut name)];
        recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
            .map_err(|errno| failure(errno.into()))?;
        let received = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let none = || failure(io::Error::other("who connected has gone without sending one"));
        let terminal = received.ok_or_else(none)?;
        if !rustix::termios::isatty(&terminal) {
            return Err(failure(io::Error::other("what came is none")));
        }
        Ok(terminal)
    }
}

impl AsFd for ConsoleConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Place {
    fn stat(&self) -> rustix::io::Result<Stat> {
        statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Removes a socket that nobody listens at.
    fn make_free(&self) -> io::Result<()> {
        let refused = |reason| Err(io::Error::new(ErrorKind::AlreadyExists, reason));
        match self.stat() {
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno.into()),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {}
            Ok(_) => return refused("there is a file that is no socket: take another path"),
        }
        // One of another type is refused in another way, and who listens is not disturbed.
        match connect(socket(SocketType::DGRAM)?, &self.address()?) {
            Err(Errno::CONNREFUSED) => Ok(unlinkat(&self.directory, &self.name, AtFlags::empty())?),
            _ => refused("somebody listens there already: take another path"),
        }
    }
}

fn socket(kind: SocketType) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
}

/// The file of a socket of ours.
#[derive(Debug)]
struct SocketFile {
    place: Place,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let place = &self.place;
        // Somebody else may have put another in its place; and one that is gone is what is wanted.
        if place.stat().is_ok_and(|stat| identity(&stat) == self.identity) {
            unlinkat(&place.directory, &place.name, AtFlags::empty()).unwrap_or_default();
        }
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}
