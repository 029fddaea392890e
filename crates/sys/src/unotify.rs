//! The notifications of a seccomp filter; see seccomp_unotify(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::{Errno, Result, SyscallError};

/// The `SECCOMP_IOCTL_NOTIF_*` of linux/seccomp.h.
const RECEIVE: libc::Ioctl = request(3, 0, size_of::<Notification>());
const SEND: libc::Ioctl = request(3, 1, size_of::<Response>());
const ID_VALID: libc::Ioctl = request(1, 2, size_of::<u64>());
const ADD_FD: libc::Ioctl = request(1, 3, size_of::<AddFd>());

const CONTINUE: u32 = 1;
const ADD_FD_SETFD: u32 = 1;
const ADD_FD_SEND: u32 = 2;

/// `_IOC` of asm-generic/ioctl.h for the type `!`.
#[expect(clippy::cast_possible_truncation, reason = "the sizes are below 2^14")]
const fn request(direction: u32, number: u32, size: usize) -> libc::Ioctl {
    (direction << 30 | (size as u32) << 16 | 0x21 << 8 | number) as libc::Ioctl
}

/// A call that waits for an answer: `struct seccomp_notif` of linux/seccomp.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notification {
    /// What the answer names.
    pub id: u64,
    /// The thread that calls, by its number in the receiver's pid namespace; 0 if it has none there.
    pub pid: u32,
    flags: u32,
    /// The number of the system call.
    pub number: i32,
    /// The `AUDIT_ARCH_*` token of the convention it was made by.
    pub arch: u32,
    /// Where the call was made from.
    pub instruction_pointer: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `struct seccomp_notif_addfd`.
#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    source: u32,
    target: u32,
    target_flags: u32,
}

/// What the caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The call is made after all. What its pointers point to may be changed by then.
    Continue,
    /// It is not made, and returns this.
    Return(i64),
    /// It is not made, and fails with this.
    Fail(Errno),
}

/// Where an added descriptor goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Addition {
    /// Its number there; the lowest free one if not given.
    pub number: Option<u32>,
    /// It closes with execve(2).
    pub close_on_exec: bool,
    /// The number is also the call's result, so that there is nothing more to answer. Linux 5.14.
    pub answers: bool,
}

/// Waits for the next call. `ENOENT` means that the caller was interrupted or killed meanwhile.
pub fn receive(listener: impl AsFd) -> Result<Notification> {
    let mut notification = Notification::default();
    let result = ioctl(listener.as_fd(), RECEIVE, &raw mut notification);
    result.map(|_| notification).map_err(|errno| failure("RECV", listener, errno))
}

/// Answers the call `id`. `ENOENT` means that nobody waits for it any more, `EINPROGRESS` that it was
/// answered already.
pub fn send(listener: impl AsFd, id: u64, answer: Answer) -> Result<()> {
    let (value, error, flags) = match answer {
        Answer::Continue => (0, 0, CONTINUE),
        Answer::Return(value) => (value, 0, 0),
        Answer::Fail(errno) => (0, -errno.raw_os_error(), 0),
    };
    let mut response = Response { id, value, error, flags };
    let result = ioctl(listener.as_fd(), SEND, &raw mut response);
    result.map(drop).map_err(|errno| failure("SEND", listener, errno))
}

/// Whether somebody still waits for an answer to the call `id`: only then what was read of the thread by
/// its number, after the notification had come, was read of the right one.
pub fn is_valid(listener: impl AsFd, mut id: u64) -> Result<bool> {
    match ioctl(listener.as_fd(), ID_VALID, &raw mut id) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(failure("ID_VALID", listener, errno)),
    }
}

/// Gives a copy of `descriptor` to the process whose call `id` waits; returns its number there.
pub fn add_fd(
    listener: impl AsFd,
    id: u64,
    descriptor: impl AsFd,
    addition: Addition,
) -> Result<RawFd> {
    let set = if addition.number.is_some() { ADD_FD_SETFD } else { 0 };
    let send = if addition.answers { ADD_FD_SEND } else { 0 };
    let flags = if addition.close_on_exec { libc::O_CLOEXEC } else { 0 };
    let mut request = AddFd {
        id,
        flags: set | send,
        source: descriptor.as_fd().as_raw_fd().cast_unsigned(),
        target: addition.number.unwrap_or_default(),
        target_flags: flags.cast_unsigned(),
    };
    ioctl(listener.as_fd(), ADD_FD, &raw mut request)
        .map_err(|errno| failure("ADDFD", listener, errno))
}

/// `argument` points to what the request is about, in its own type.
fn ioctl<T>(
    listener: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: *mut T,
) -> Result<i32, Errno> {
    loop {
        // SAFETY: the callers pass the structure that belongs to the request, alive and writable.
        let result = unsafe { libc::ioctl(listener.as_raw_fd(), request, argument) };
        let error = std::io::Error::last_os_error();
        match Errno::from_io_error(&error) {
            _ if result >= 0 => return Ok(result),
            Some(Errno::INTR) => {}
            errno => return Err(errno.unwrap_or(Errno::IO)),
        }
    }
}

fn failure(what: &str, listener: impl AsFd, errno: Errno) -> SyscallError {
    let number = listener.as_fd().as_raw_fd();
    SyscallError::new("ioctl", format!("{number}, SECCOMP_IOCTL_NOTIF_{what}"), errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_the_kernel() {
        let numbers = [RECEIVE, SEND, ID_VALID, ADD_FD].map(|it| i128::from(it) & 0xffff_ffff);
        assert_eq!(numbers, [0xc050_2100, 0xc018_2101, 0x4008_2102, 0x4018_2103]);
    }
}
