//! Session keyrings; see keyrings(7).

use std::ffi::CStr;

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
const KEYCTL_SETPERM: libc::c_int = 5;
const KEYCTL_DESCRIBE: libc::c_int = 6;

/// Leaves the session keyring for a new one called `name`; returns its serial number.
pub fn join_session(name: &CStr) -> Result<i32> {
    // SAFETY: the name is a terminated string that the kernel reads.
    let serial = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_keyctl.cast_signed()),
            KEYCTL_JOIN_SESSION_KEYRING,
            name.as_ptr(),
        )
    };
    i32::try_from(serial)
        .ok()
        .filter(|serial| *serial > 0)
        .ok_or_else(|| SyscallError::last("keyctl", format!("JOIN_SESSION_KEYRING, {name:?}")))
}

/// Adds `permissions` to those of the keyring `serial`; bits as in keyctl_setperm(3).
pub fn add_permissions(serial: i32, permissions: u32) -> Result<()> {
    let current = describe(serial)?;
    // SAFETY: only numbers are passed.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_keyctl.cast_signed()),
            KEYCTL_SETPERM,
            serial,
            current | permissions,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(SyscallError::last("keyctl", format!("SETPERM, {serial}")))
    }
}

/// The permissions in the description `type;uid;gid;perm;name`.
fn describe(serial: i32) -> Result<u32> {
    let mut buffer = [0_u8; 256];
    // SAFETY: the kernel writes at most the buffer's length.
    let length = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_keyctl.cast_signed()),
            KEYCTL_DESCRIBE,
            serial,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    if length < 0 {
        return Err(SyscallError::last("keyctl", format!("DESCRIBE, {serial}")));
    }
    let text = String::from_utf8_lossy(&buffer);
    let permissions = text.split(';').nth(3).and_then(|field| u32::from_str_radix(field, 16).ok());
    permissions.ok_or_else(|| {
        SyscallError::new("keyctl", format!("DESCRIBE, {serial}"), crate::Errno::PROTO)
    })
}
