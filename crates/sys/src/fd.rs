//! Descriptors in bulk and by number.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use linux_raw_sys::general as raw;
use rustix::fs::{Dir, OFlags};

use crate::procfs::ProcRoot;
use crate::{Errno, Result, SyscallError};

/// Closes every descriptor but those in `kept`. Linux 5.9 (close_range(2)); else it needs a procfs.
///
/// For a program with one thread that has just been started, or is about to execute another one: whatever
/// owned a closed descriptor must not be used or dropped any more.
pub fn close_all_but(kept: &mut [RawFd]) -> Result<()> {
    kept.sort_unstable();
    match close_around(kept) {
        // Hidden by a filter that is older than the call: those of container managers are, at times.
        Err(error) if error.errno() == Errno::NOSYS => close_listed(kept).map_err(|_| error),
        result => result,
    }
}

fn close_around(kept: &[RawFd]) -> Result<()> {
    let mut first = 0;
    for number in kept.iter().map(|fd| fd.unsigned_abs()) {
        if first < number {
            close_range(first, number - 1, 0)?;
        }
        first = number + 1;
    }
    close_range(first, libc::c_uint::MAX, 0)
}

/// Closes every descriptor from `first` on at the next execve(2), also in children. Linux 5.11
/// (`CLOSE_RANGE_CLOEXEC`); else it needs a procfs.
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    match close_range(first.unsigned_abs(), libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) {
        Err(error) if matches!(error.errno(), Errno::NOSYS | Errno::INVAL) => {
            for number in listed()?.into_iter().filter(|number| *number >= first) {
                // SAFETY: the call touches no memory. The list's own descriptor is closed already.
                unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
            Ok(())
        }
        result => result,
    }
}

fn close_range(first: libc::c_uint, last: libc::c_uint, flags: libc::c_uint) -> Result<()> {
    // SAFETY: the call touches no memory; that nobody owns the descriptors is the caller's matter.
    let result = unsafe {
        libc::syscall(libc::c_long::from(raw::__NR_close_range.cast_signed()), first, last, flags)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(SyscallError::last("close_range", format!("{first}, {last}, {flags}")))
    }
}

/// Closes all that are listed in procfs but those in `kept`.
fn close_listed(kept: &[RawFd]) -> Result<()> {
    for number in listed()?.into_iter().filter(|number| !kept.contains(number)) {
        // SAFETY: the call touches no memory; that nobody owns the descriptors is the caller's matter.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// All descriptors, and that of the list, which is closed already.
fn listed() -> Result<Vec<RawFd>> {
    let list = ProcRoot::open()?.open_file("thread-self/fd", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let failure = |errno| SyscallError::new("getdents64", "/proc/thread-self/fd", errno);
    let mut open = Vec::new();
    for entry in Dir::new(list).map_err(failure)? {
        let name = entry.map_err(failure)?;
        open.extend(name.file_name().to_str().ok().and_then(|name| name.parse::<RawFd>().ok()));
    }
    Ok(open)
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

/// Is the descriptor with this number open?
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: fcntl touches no memory.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}
