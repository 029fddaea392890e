//! execve(2) with exactly the arguments and the environment given.

use std::ffi::{CStr, CString, c_char};

use crate::SyscallError;

/// Replaces the calling program; returns only the failure.
///
/// Unlike the standard library's `exec` it leaves signals, descriptors and the environment alone.
pub fn execve(path: &CStr, args: &[CString], env: &[CString]) -> SyscallError {
    let args = pointers(args);
    let env = pointers(env);
    // SAFETY: both arrays end in a null pointer and point to terminated strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    SyscallError::last("execve", format!("{path:?}"))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Ends the process at once, without the exit handlers of the C library: what a forked child does.
///
/// Where a seccomp filter refuses even that, a signal ends it.
pub fn exit_now(status: u8) -> ! {
    let status = libc::c_int::from(status);
    // SAFETY: the call reads no memory, and nothing is left to be kept intact.
    unsafe { libc::syscall(libc::SYS_exit_group, status) };
    // A seccomp filter refuses it. The C library would try for ever; this ends in an instruction that traps.
    std::process::abort()
}
