//! New namespaces, and questions to descriptors of existing ones; see ioctl_nsfs(2).

use std::os::fd::{AsFd, AsRawFd};

use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::{Errno, Result, SyscallError};

const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// The `CLONE_NEW*` flag of the kind of namespace that `fd` refers to. Fails with `ENOTTY` on any other file.
pub fn namespace_type(fd: impl AsFd) -> Result<u32> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd, NS_GET_NSTYPE) };
    u32::try_from(result).map_err(|_| SyscallError::last("ioctl", format!("{fd}, NS_GET_NSTYPE")))
}

/// Moves the caller into new namespaces of the kinds in `flags` (`CLONE_NEW*`); see unshare(2).
///
/// A mount namespace comes with a root and a working directory of the calling thread's own. Other flags are
/// refused: they would change what the threads of the process share.
pub fn unshare(flags: u32) -> Result<()> {
    let kinds = UnshareFlags::NEWCGROUP | UnshareFlags::NEWTIME | UnshareFlags::NEWNS;
    let failure = |errno| SyscallError::new("unshare", format!("{flags:#x}"), errno);
    let flags = UnshareFlags::from_bits(flags)
        .filter(|flags| kinds.contains(*flags))
        .ok_or_else(|| failure(Errno::INVAL))?;
    // SAFETY: none of these flags separates the thread's descriptors, to which others may hold numbers.
    unsafe { unshare_unsafe(flags) }.map_err(failure)
}
