//! A child that is there only so that a user namespace is; see user_namespaces(7).
//!
//! The id maps of a namespace are written through a process in it, so a namespace that nobody lives in, as
//! one by which the owners of a mount are mapped, needs one for a moment.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use linux_raw_sys::general as raw;
use rustix::process::Pid;

use crate::pidfd::send_signal;
use crate::{Errno, Result, SyscallError};

/// The first process of a new user namespace, which does nothing. It ends with this value, or with the
/// thread that made it.
#[derive(Debug)]
pub struct Occupant {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Occupant {
    /// Makes a user namespace whose ids are not mapped yet, and a process in it.
    ///
    /// Safe in programs with threads: the child only calls the kernel. Nobody who waits for children in the
    /// usual way, as by `SIGCHLD`, sees it. Linux 5.5; needs no privilege where users may make user namespaces.
    pub fn new() -> Result<Self> {
        let caller = rustix::process::getpid();
        let mut pidfd: RawFd = -1;
        let flags =
            u64::from(raw::CLONE_NEWUSER) | u64::from(raw::CLONE_PIDFD) | raw::CLONE_CLEAR_SIGHAND;
        let arguments = raw::clone_args {
            flags,
            pidfd: std::ptr::from_mut(&mut pidfd) as u64,
            child_tid: 0,
            parent_tid: 0,
            exit_signal: 0,
            stack: 0,
            stack_size: 0,
            tls: 0,
            set_tid: 0,
            set_tid_size: 0,
            cgroup: 0,
        };
        // SAFETY: neither a stack nor CLONE_VM is given, so the child runs on its own copy of this one; it
        // calls nothing but `occupy`, which allocates nothing and takes no lock.
        let result = unsafe {
            libc::syscall(
                libc::c_long::from(raw::__NR_clone3.cast_signed()),
                &raw const arguments,
                size_of::<raw::clone_args>(),
            )
        };
        match i32::try_from(result) {
            Ok(0) => occupy(caller),
            Ok(pid) if let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) => {
                // SAFETY: the kernel has just opened it for us and nobody else knows it.
                let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
                Ok(Self { pid, pidfd })
            }
            _ => Err(SyscallError::last("clone3", format!("flags {flags:#x}"))),
        }
    }

    /// Its number in the caller's pid namespace.
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        // It cannot have gone before: it is a child that nobody else waits for.
        if send_signal(&self.pidfd, libc::SIGKILL).is_ok() {
            while self.wait().is_err_and(|error| error.errno() == Errno::INTR) {}
        }
    }
}

impl Occupant {
    fn wait(&self) -> Result<()> {
        let fd = self.pidfd.as_raw_fd();
        let info = std::ptr::null_mut::<libc::siginfo_t>();
        let options = libc::WEXITED | libc::__WALL;
        // SAFETY: without a place for it the kernel writes no information.
        let result = unsafe { libc::waitid(libc::P_PIDFD, fd.unsigned_abs(), info, options) };
        if result == 0 { Ok(()) } else { Err(SyscallError::last("waitid", format!("pidfd {fd}"))) }
    }
}

/// In the child: ends only by being killed, at the latest when `parent` has gone.
fn occupy(parent: Pid) -> ! {
    // SAFETY: the call takes numbers only.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: no precondition.
    if set != 0 || unsafe { libc::getppid() } != parent.as_raw_nonzero().get() {
        crate::exec::exit_now(1);
    }
    loop {
        // SAFETY: no precondition.
        unsafe { libc::pause() };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lives_in_another_user_namespace_and_goes_with_the_value() {
        let occupant = Occupant::new().unwrap();
        let path = format!("/proc/{}", occupant.pid().as_raw_nonzero());
        let namespace = |path: &str| fs::read_link(format!("{path}/ns/user")).unwrap();
        assert_ne!(namespace(&path), namespace("/proc/self"));
        assert_eq!(fs::read_to_string(format!("{path}/uid_map")).unwrap(), "");
        drop(occupant);
        assert!(!fs::exists(path).unwrap());
    }
}
