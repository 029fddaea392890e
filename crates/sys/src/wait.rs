//! Children that have ended.

use std::mem::MaybeUninit;

use crate::{Errno, Result, SyscallError};

/// The number of a child that has ended and is not reaped yet, if there is one.
pub fn peek_ended() -> Result<Option<i32>> {
    wait(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
}

/// Reaps the child with this number, which has ended.
pub fn reap(pid: i32) -> Result<()> {
    wait(libc::P_PID, pid.unsigned_abs(), libc::WEXITED | libc::WNOHANG).map(drop)
}

fn wait(kind: libc::idtype_t, id: libc::id_t, options: libc::c_int) -> Result<Option<i32>> {
    // SAFETY: the structure is plain data, for which zeros are valid.
    let mut info = unsafe { MaybeUninit::<libc::siginfo_t>::zeroed().assume_init() };
    // SAFETY: the kernel writes to the structure only.
    if unsafe { libc::waitid(kind, id, &raw mut info, options) } != 0 {
        let error = SyscallError::last("waitid", format!("{kind}, {id}"));
        return if error.errno() == Errno::CHILD { Ok(None) } else { Err(error) };
    }
    // SAFETY: waitid fills in the fields of a child, or leaves zeros.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then_some(pid))
}
