//! Descriptors in bulk and by number.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

/// Marks every descriptor from `first` on close-on-exec. Linux 5.11; see close_range(2).
pub fn cloexec_from(first: RawFd) -> Result<()> {
    // SAFETY: only flags of descriptors change; none is closed.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_close_range.cast_signed()),
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(SyscallError::last("close_range", format!("{first}, ~0, CLOEXEC")))
    }
}

/// Makes `number` a copy of `fd` that stays open at execve(2); what was `number` before is closed.
///
/// The caller must not own a descriptor of this number elsewhere: it is lost to it. Right before execve(2)
/// nothing does any more.
pub fn place(fd: impl AsFd, number: RawFd) -> Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: dup2 touches no memory.
    let result = unsafe { libc::dup2(fd, number) };
    if result == number {
        Ok(())
    } else {
        Err(SyscallError::last("dup2", format!("{fd}, {number}")))
    }
}

/// A close-on-exec copy of the descriptor with this number, which the program was started with.
pub fn duplicate(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: fcntl touches no memory.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(SyscallError::last("fcntl", format!("{number}, F_DUPFD_CLOEXEC")));
    }
    // SAFETY: the kernel has just opened it for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
