//! A conversation with the kernel about the network devices of one namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_sys::{Errno, SyscallError, net};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::message::{DUMP_INTERRUPTED, Request, Said, messages};
use crate::{Error, Result};

/// Twice what the kernel puts into one message of a list.
const RECEIVE_LIMIT: usize = 64 << 10;

/// How often a list is asked for again that changed meanwhile.
const ATTEMPTS: u32 = 16;

/// A socket of rtnetlink(7) in one network namespace.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// One in the network namespace of the calling thread.
    pub fn open() -> Result<Self> {
        let kind = (AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC);
        let socket = socket_with(kind.0, kind.1, kind.2, None).map_err(|errno| {
            Error::Connect(SyscallError::new("socket", "AF_NETLINK, NETLINK_ROUTE", errno))
        })?;
        net::explain_errors(&socket).map_err(Error::Connect)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// One in another network namespace. `CAP_SYS_ADMIN` in the user namespace that owns it.
    ///
    /// A thread of its own enters the namespace and ends: setns(2) moves nothing but the thread that calls
    /// it, so the caller may have any number of threads.
    pub fn open_in(namespace: impl AsFd) -> Result<Self> {
        let namespace = namespace.as_fd();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || {
                enter(namespace)?;
                Self::open()
            });
            let thread = thread.map_err(|error| {
                Error::Enter(SyscallError::from_io("clone", "a thread", &error))
            })?;
            let ended = || Error::Enter(SyscallError::new("clone", "a thread", Errno::IO));
            thread.join().map_err(|_| ended())?
        })
    }

    /// Sends a request and gathers the answers.
    pub(crate) fn ask(
        &mut self,
        request: impl Fn() -> Request,
        (call, args): (&'static str, &str),
    ) -> Result<Vec<Vec<u8>>, SyscallError> {
        let failure = |errno| SyscallError::new(call, args, errno);
        for _ in 0..ATTEMPTS {
            self.sequence = self.sequence.wrapping_add(1);
            let bytes = request().into_bytes(self.sequence);
            let kernel = SocketAddrNetlink::new(0, 0);
            sendto(&self.socket, &bytes, SendFlags::empty(), &kernel).map_err(failure)?;
            if let Some(answers) = self.answers((call, args))? {
                return Ok(answers);
            }
        }
        Err(failure(Errno::AGAIN))
    }

    /// The answers up to the last; nothing if what was listed changed on the way.
    fn answers(
        &self,
        (call, args): (&'static str, &str),
    ) -> Result<Option<Vec<Vec<u8>>>, SyscallError> {
        let mut buffer = vec![0; RECEIVE_LIMIT];
        let (mut answers, mut whole) = (Vec::new(), true);
        loop {
            let received = recv(&self.socket, &mut buffer, RecvFlags::empty());
            let (length, _) = match received {
                Err(Errno::INTR) => continue,
                received => received.map_err(|errno| SyscallError::new(call, args, errno))?,
            };
            for message in messages(&buffer[..length]) {
                if message.sequence != self.sequence {
                    continue;
                }
                whole &= message.flags & DUMP_INTERRUPTED == 0;
                match message.said() {
                    Said::Something(body) => answers.push(body.to_vec()),
                    Said::Done => return Ok(whole.then_some(answers)),
                    Said::Failed(errno, explanation) => {
                        let errno = Errno::from_raw_os_error(errno);
                        let comma = if explanation.is_empty() { "" } else { ", " };
                        let args = format!("{args}{comma}{explanation}");
                        return Err(SyscallError::new(call, args, errno));
                    }
                }
            }
        }
    }
}

fn enter(namespace: BorrowedFd<'_>) -> Result<()> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .map_err(|errno| Error::Enter(SyscallError::new("setns", "CLONE_NEWNET", errno)))
}
