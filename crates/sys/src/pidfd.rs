//! Signals to processes by descriptor.

use std::os::fd::{AsFd, AsRawFd};

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

/// Sends the signal with this number, realtime ones included, to the process behind `pidfd`. Linux 5.1.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: without a siginfo the kernel reads no memory.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_pidfd_send_signal.cast_signed()),
            fd,
            signal,
            info,
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(SyscallError::last("pidfd_send_signal", format!("{fd}, {signal}")))
    }
}
