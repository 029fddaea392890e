//! Questions to namespace descriptors; see ioctl_nsfs(2).

use std::os::fd::{AsFd, AsRawFd};

use crate::{Result, SyscallError};

const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// The `CLONE_NEW*` flag of the kind of namespace that `fd` refers to. Fails with `ENOTTY` on any other file.
pub fn namespace_type(fd: impl AsFd) -> Result<u32> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd, NS_GET_NSTYPE) };
    u32::try_from(result).map_err(|_| SyscallError::last("ioctl", format!("{fd}, NS_GET_NSTYPE")))
}
