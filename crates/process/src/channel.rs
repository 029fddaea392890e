//! A socket pair that carries messages with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg,
    sendmsg, socketpair,
};

use crate::{Error, Result};

/// The most descriptors that one message can carry (`SCM_MAX_FD` of unix(7)).
pub const MAX_DESCRIPTORS: usize = 253;

/// One end of a connected pair of `SOCK_SEQPACKET` sockets; see unix(7).
///
/// Messages arrive whole or not at all; when the other end is closed everywhere, [`Channel::receive`]
/// returns `None`.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// What arrived: bytes and descriptors, the latter close-on-exec.
#[derive(Debug, Default)]
pub struct Message {
    /// The payload.
    pub bytes: Vec<u8>,
    /// The descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Two connected ends, close-on-exec.
    pub fn pair() -> Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| failure("socketpair", errno))?;
        Ok((Self(one), Self(other)))
    }

    /// Sends `bytes` and copies of at most [`MAX_DESCRIPTORS`] descriptors as one message.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(failure("sendmsg", Errno::INVAL));
        }
        // A peer that is gone shall be an error here, not a signal.
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(|errno| failure("sendmsg", errno))
    }

    /// Waits for the next message and says how long it is; 0 when the peer is gone.
    fn next_length(&self) -> Result<usize> {
        loop {
            let mut nothing: [u8; 0] = [];
            match recv(&self.0, &mut nothing, RecvFlags::PEEK | RecvFlags::TRUNC) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(0),
                other => {
                    let (_, length) = other.map_err(|errno| failure("recv", errno))?;
                    return Ok(length);
                }
            }
        }
    }

    /// Waits for the next message of at most `limit` bytes; `None` when the peer is gone. For one reader at a
    /// time.
    pub fn receive(&self, limit: usize) -> Result<Option<Message>> {
        let mut bytes = vec![0; self.next_length()?.min(limit)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let parts = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                other => break other.map_err(|errno| failure("recvmsg", errno))?,
            }
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                descriptors.extend(fds);
            }
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(Error::Truncated);
        }
        if received.bytes == 0 && descriptors.is_empty() {
            return Ok(None);
        }
        bytes.truncate(received.bytes);
        Ok(Some(Message { bytes, descriptors }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Channel {
    /// Wraps a socket that came from elsewhere, as from standard input.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

fn failure(call: &'static str, errno: Errno) -> Error {
    Error::syscall("cannot talk to the other process", call, "SOCK_SEQPACKET", errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_descriptors_and_ends() {
        let (one, other) = Channel::pair().unwrap();
        one.send(b"hello", &[one.as_fd(), one.as_fd()]).unwrap();
        let message = other.receive(64).unwrap().unwrap();
        assert_eq!((message.bytes.as_slice(), message.descriptors.len()), (&b"hello"[..], 2));
        one.send(b"too long", &[]).unwrap();
        assert!(matches!(other.receive(3), Err(Error::Truncated)));
        drop((one, message));
        assert!(other.receive(3).unwrap().is_none());
    }
}
