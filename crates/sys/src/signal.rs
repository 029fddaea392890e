//! Signal dispositions and masks, set for the whole process at once.

use std::mem::MaybeUninit;

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

/// The last signal: that of the kernel, as C libraries keep some before for themselves.
const LAST: libc::c_int = 64;

/// Gives every signal its default action and unblocks all: what a program expects at its start.
///
/// Handlers vanish at execve(2) by themselves, ignored signals do not; see signal(7).
pub fn reset_all() -> Result<()> {
    for signal in 1..=LAST {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            set_action(signal, libc::SIG_DFL)?;
        }
    }
    unblock_all()
}

/// Gives SIGCHLD its default action: a caller that ignores it would have children vanish unwaited for.
pub fn reset_child() -> Result<()> {
    set_action(libc::SIGCHLD, libc::SIG_DFL)
}

/// Makes the signals that ask a program to end do so, with 128 plus their number, even if it is the first
/// process of a pid namespace, which is deaf to those without a handler. Unblocks all.
pub fn exit_when_asked() -> Result<()> {
    extern "C" fn exit(signal: libc::c_int) {
        // SAFETY: _exit may be called from a signal handler.
        unsafe { libc::_exit(128 + signal) }
    }
    let handler = exit as extern "C" fn(libc::c_int) as libc::sighandler_t;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        set_action(signal, handler)?;
    }
    unblock_all()
}

/// The kernel's `struct sigaction`, without flags, mask and restorer: for default actions, and for
/// handlers that do not return.
#[repr(C)]
struct Action {
    handler: libc::sighandler_t,
    rest: [u64; 3],
}

/// Bypasses the C library, which refuses the signals that it keeps for itself.
fn set_action(signal: libc::c_int, handler: libc::sighandler_t) -> Result<()> {
    let action = Action { handler, rest: [0; 3] };
    let previous = std::ptr::null_mut::<Action>();
    // SAFETY: the structure is as long as the kernel's, which reads it; the previous one is not asked for.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_rt_sigaction.cast_signed()),
            signal,
            &raw const action,
            previous,
            size_of::<u64>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("rt_sigaction", signal.to_string())) }
}

fn unblock_all() -> Result<()> {
    let mut empty = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is written whole.
    unsafe { libc::sigemptyset(empty.as_mut_ptr()) };
    // SAFETY: the set was initialized above; the previous mask is not asked for.
    let result =
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, empty.as_ptr(), std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("sigprocmask", "empty")) }
}
