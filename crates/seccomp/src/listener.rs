//! Deciding about calls in place of the kernel.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use coracle_sys::unotify::{self, Addition, Answer, Notification};
use coracle_sys::{Errno, SyscallError};
use rustix::event::{PollFd, PollFlags, poll};

use crate::{Arch, Error};

/// The other end of a filter that [notifies](crate::Action::Notify); see seccomp_unotify(2). Linux 5.0.
///
/// A call that the filter notifies of waits until it is answered here. When the listener is closed
/// everywhere, such calls fail with `ENOSYS`.
///
/// The listener of a program comes from [`BpfProgram::load`](crate::BpfProgram::load), or from a container
/// runtime over a Unix socket. It is a descriptor, which becomes readable when a call waits and hangs up
/// when nobody is left under the filter: for event loops.
///
/// ```no_run
/// use coracle_seccomp::{Error, Listener};
/// use coracle_sys::Errno;
///
/// /// Refuses to mount, and pretends that all else has worked.
/// fn decide(listener: &Listener) -> Result<(), Error> {
///     while let Some(call) = listener.receive()? {
///         match call.name() {
///             Some("mount") => listener.deny(&call, Errno::PERM)?,
///             _ => listener.respond(&call, 0)?,
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// A call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    notification: Notification,
}

impl Call {
    /// The thread that calls, by its number in the listener's pid namespace; 0 if it has none there.
    ///
    /// The number may be another thread's by the time it is used: what was looked up by it counts only if
    /// the call [is still waiting](Listener::is_waiting) afterwards.
    pub fn pid(&self) -> u32 {
        self.notification.pid
    }

    /// The number of the system call.
    pub fn number(&self) -> u32 {
        self.notification.number.cast_unsigned()
    }

    /// By the convention of which architecture it is made, if that is one with a table.
    pub fn arch(&self) -> Option<Arch> {
        Arch::of_call(self.notification.arch, self.number())
    }

    /// The name of the system call, if there is a table that has it.
    pub fn name(&self) -> Option<&'static str> {
        self.arch()?.syscall_name(self.number())
    }

    /// Its arguments. Some may be pointers into the caller's memory, which can change at any time: do not
    /// base a permission on what they point to.
    pub fn args(&self) -> [u64; 6] {
        self.notification.args
    }
}

impl Listener {
    /// Waits until a call comes; nothing when nobody is left under the filter.
    ///
    /// # Errors
    ///
    /// [`Error::Listener`]
    pub fn receive(&self) -> Result<Option<Call>, Error> {
        loop {
            if !self.wait()? {
                return Ok(None);
            }
            match unotify::receive(&self.0) {
                Ok(notification) => return Ok(Some(Call { notification })),
                // The caller was interrupted before we came to it.
                Err(error) if error.errno() == Errno::NOENT => {}
                Err(error) => return Err(Error::Listener(error)),
            }
        }
    }

    /// Lets the call be made after all. What its pointers point to may have changed since it was looked at,
    /// so this is no way to enforce anything. Linux 5.5.
    ///
    /// # Errors
    ///
    /// [`Error::Listener`]; that the caller has gone is none.
    pub fn allow(&self, call: &Call) -> Result<(), Error> {
        self.answer(call, Answer::Continue)
    }

    /// Has the call fail, without being made.
    ///
    /// # Errors
    ///
    /// [`Error::Listener`]; that the caller has gone is none.
    pub fn deny(&self, call: &Call, errno: Errno) -> Result<(), Error> {
        self.answer(call, Answer::Fail(errno))
    }

    /// Has the call return `value`, without being made.
    ///
    /// # Errors
    ///
    /// [`Error::Listener`]; that the caller has gone is none.
    pub fn respond(&self, call: &Call, value: i64) -> Result<(), Error> {
        self.answer(call, Answer::Return(value))
    }

    /// Gives the caller a copy of `descriptor`, as the lowest free number; returns that number. The call
    /// goes on waiting. Linux 5.9.
    ///
    /// # Errors
    ///
    /// [`Error::Listener`]
    pub fn add_fd(
        &self,
        call: &Call,
        descriptor: impl AsFd,
        close_on_exec: bool,
    ) -> Result<RawFd, Error> {
        let addition = Addition { close_on_exec, ..Addition::default() };
        let added = unotify::add_fd(&self.0, call.notification.id, descriptor, addition);
        added.map_err(Error::Listener)
    }

    /// Whether the caller still waits. If not, [`Call::pid`] may be another thread's.
    ///
    /// # Errors
    ///
    /// [`Error::Listener`]
    pub fn is_waiting(&self, call: &Call) -> Result<bool, Error> {
        unotify::is_valid(&self.0, call.notification.id).map_err(Error::Listener)
    }

    fn answer(&self, call: &Call, answer: Answer) -> Result<(), Error> {
        match unotify::send(&self.0, call.notification.id, answer) {
            Err(error) if error.errno() != Errno::NOENT => Err(Error::Listener(error)),
            _ => Ok(()),
        }
    }

    /// Waits for a call, or for the end of all who could make one.
    fn wait(&self) -> Result<bool, Error> {
        loop {
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) => return Ok(fds[0].revents().contains(PollFlags::IN)),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::Listener(SyscallError::new("poll", "listener", errno)));
                }
            }
        }
    }
}

impl From<OwnedFd> for Listener {
    /// Takes a descriptor that came from elsewhere, as from a container runtime.
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> Self {
        listener.0
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
