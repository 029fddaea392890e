//! Signal dispositions and masks, set for the whole process at once.

use std::mem::MaybeUninit;

use crate::{Result, SyscallError};

/// Gives every signal its default action and unblocks all: what a program expects at its start.
///
/// Handlers vanish at execve(2) by themselves, ignored signals do not; see signal(7).
pub fn reset_all() -> Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: SIG_DFL installs no code.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut empty = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is written whole.
    unsafe { libc::sigemptyset(empty.as_mut_ptr()) };
    // SAFETY: the set was initialized above; the previous mask is not asked for.
    let result =
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, empty.as_ptr(), std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("sigprocmask", "empty")) }
}
