//! What a tracer can read of a process; see ptrace(2).

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::seccomp::SockFilter;
use crate::{Errno, Result, SyscallError};

/// The `PTRACE_*` of linux/ptrace.h.
const DETACH: libc::c_uint = 17;
const SEIZE: libc::c_uint = 0x4206;
const INTERRUPT: libc::c_uint = 0x4207;
const GET_FILTER: libc::c_uint = 0x420c;

/// Reads back the seccomp filter number `index` of the process `pid`, counted from the first that was
/// loaded; nothing if it has fewer. It stops for that moment, and nobody else must trace it.
///
/// Needs `CAP_SYS_ADMIN`, a kernel with `CONFIG_CHECKPOINT_RESTORE`, and a caller without filter.
pub fn seccomp_filter(pid: Pid, index: usize) -> Result<Option<Vec<SockFilter>>> {
    let stopped = Stopped::stop(pid)?;
    let length = match stopped.request(GET_FILTER, index, std::ptr::null_mut()) {
        Err(error) if error.errno() == Errno::NOENT => return Ok(None),
        length => usize::try_from(length?).unwrap_or_default(),
    };
    let mut program = vec![SockFilter { code: 0, jt: 0, jf: 0, k: 0 }; length];
    // The number of instructions cannot change: a filter never does.
    stopped.request(GET_FILTER, index, program.as_mut_ptr().cast())?;
    Ok(Some(program))
}

/// A process that is stopped until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn stop(pid: Pid) -> Result<Self> {
        let none = std::ptr::null_mut();
        let seized = Self(pid);
        seized.request(SEIZE, 0, none)?;
        seized.request(INTERRUPT, 0, none)?;
        waitpid(Some(pid), WaitOptions::empty())
            .map_err(|errno| SyscallError::new("waitpid", pid.to_string(), errno))?;
        Ok(seized)
    }

    fn request(
        &self,
        request: libc::c_uint,
        address: usize,
        data: *mut libc::c_void,
    ) -> Result<libc::c_long> {
        // SAFETY: of the requests made here only GET_FILTER writes memory: to `data`, if that is not null,
        // as many instructions as it has said before.
        let result = unsafe {
            libc::syscall(libc::SYS_ptrace, request, self.0.as_raw_nonzero().get(), address, data)
        };
        let describe = || format!("{request:#x}, {}", self.0);
        if result >= 0 { Ok(result) } else { Err(SyscallError::last("ptrace", describe())) }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It has ended, or was never seized.
        self.request(DETACH, 0, std::ptr::null_mut()).map(drop).unwrap_or_default();
    }
}
