//! clone3(2): a new process in new namespaces, born in its cgroup.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use linux_raw_sys::general as raw;
use rustix::process::Pid;

use crate::{Result, SyscallError};

/// How the new process differs from its creator.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneArgs<'fd> {
    /// The `CLONE_NEW*` flags of the namespaces to create; see namespaces(7).
    pub namespaces: u64,
    /// The new process becomes a child of the caller's parent, with the caller's exit signal.
    pub parent: bool,
    /// A directory of a cgroup v2 hierarchy to be born in. Linux 5.7.
    pub cgroup: Option<BorrowedFd<'fd>>,
}

/// On which side of the fork the caller finds itself.
#[derive(Debug)]
pub enum Forked {
    /// The caller, with the new process.
    Parent {
        /// Its number in the caller's pid namespace.
        pid: Pid,
        /// A descriptor of it, close-on-exec.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// Forks with clone3(2). Linux 5.5 (5.7 with a cgroup); new namespaces other than user need `CAP_SYS_ADMIN`.
///
/// Signal handlers are reset to their defaults in the child.
///
/// # Safety
///
/// The calling process must have one thread. The C library does not know of the child: its cached
/// thread id is the parent's, so the child must not use the library's thread functions.
pub unsafe fn clone3(args: &CloneArgs<'_>) -> Result<Forked> {
    let mut pidfd: RawFd = -1;
    let mut flags = args.namespaces | u64::from(raw::CLONE_PIDFD) | raw::CLONE_CLEAR_SIGHAND;
    // With CLONE_PARENT the exit signal is inherited and must not be given.
    let exit_signal = if args.parent { 0 } else { libc::SIGCHLD.unsigned_abs().into() };
    if args.parent {
        flags |= u64::from(raw::CLONE_PARENT);
    }
    if args.cgroup.is_some() {
        flags |= raw::CLONE_INTO_CGROUP;
    }
    let arguments = raw::clone_args {
        flags,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: args.cgroup.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    // SAFETY: no stack and no CLONE_VM are given, so the child runs on its own copy of this stack;
    // the kernel writes only to `pidfd`. That nothing else runs in the process is the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_clone3.cast_signed()),
            &raw const arguments,
            size_of::<raw::clone_args>(),
        )
    };
    match result {
        0 => Ok(Forked::Child),
        1.. => parent_side(result, pidfd),
        _ => Err(SyscallError::last("clone3", format!("flags {flags:#x}"))),
    }
}

fn parent_side(pid: libc::c_long, pidfd: RawFd) -> Result<Forked> {
    // SAFETY: the kernel has just opened it for us and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| SyscallError::new("clone3", "pid", crate::Errno::OVERFLOW))?;
    Ok(Forked::Parent { pid, pidfd })
}
