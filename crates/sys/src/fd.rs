//! Descriptors in bulk and by number.

use std::os::fd::RawFd;

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
