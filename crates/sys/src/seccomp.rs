//! Loading of seccomp filters; see seccomp(2).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use bitflags::bitflags;

use crate::{Errno, Result, SyscallError};

/// One instruction of classic BPF: `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SockFilter {
    /// The operation.
    pub code: u16,
    /// How many instructions a conditional jump skips when its condition holds.
    pub jt: u8,
    /// How many instructions a conditional jump skips when its condition does not hold.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// The program as bytes in the machine's order, eight for each instruction.
pub fn as_bytes(program: &[SockFilter]) -> &[u8] {
    // SAFETY: the structure has no padding (2 + 1 + 1 + 4 bytes, aligned to 4), every byte may be read
    // as u8, and the result borrows the program.
    unsafe { std::slice::from_raw_parts(program.as_ptr().cast(), size_of_val(program)) }
}

bitflags! {
    /// The `SECCOMP_FILTER_FLAG_*` of seccomp(2).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct FilterFlags: libc::c_ulong {
        /// Puts every thread of the process under the filter.
        const TSYNC = libc::SECCOMP_FILTER_FLAG_TSYNC;
        /// Logs what the filter refuses, except with an errno that the host's
        /// `kernel.seccomp.actions_logged` leaves out.
        const LOG = libc::SECCOMP_FILTER_FLAG_LOG;
        /// Leaves the mitigation of Speculative Store Bypass off.
        const SPEC_ALLOW = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        /// Returns a descriptor that receives the filter's notifications; see seccomp_unotify(2).
        const NEW_LISTENER = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        /// With `TSYNC`: a thread that cannot follow is an `ESRCH`, not a number. Linux 5.7.
        const TSYNC_ESRCH = libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
        /// With `NEW_LISTENER`: only fatal signals interrupt a call whose notification has been
        /// received. Linux 5.19.
        const WAIT_KILLABLE_RECV = libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    }
}

/// Puts the calling thread and what it will fork and execute under `program`, for good.
///
/// Returns the listener if `flags` ask for one. A failure to take other threads along (`TSYNC`) is
/// `ESRCH`. Needs the thread's no_new_privs attribute, or `CAP_SYS_ADMIN` in its user namespace.
pub fn load(program: &[SockFilter], flags: FilterFlags) -> Result<Option<OwnedFd>> {
    let describe = || format!("SET_MODE_FILTER, {:?}, {} instructions", flags.0, program.len());
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(SyscallError::new("seccomp", describe(), Errno::INVAL));
    };
    let filter = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    let tsync = flags.contains(FilterFlags::TSYNC);
    let esrch = if tsync { FilterFlags::TSYNC_ESRCH } else { FilterFlags::empty() };
    let result = set_mode_filter(flags | esrch, &raw const filter);
    if result < 0 {
        return Err(SyscallError::last("seccomp", describe()));
    }
    let listener = flags.contains(FilterFlags::NEW_LISTENER).then(|| RawFd::try_from(result).ok());
    Ok(listener.flatten().map(|fd| {
        // SAFETY: the kernel has just opened it for us and nobody else knows it.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }))
}

fn set_mode_filter(flags: FilterFlags, filter: *const libc::sock_fprog) -> libc::c_long {
    // SAFETY: the kernel reads the structure and the instructions it points to, and refuses bad pointers.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags.bits(), filter) }
}

/// Whether the kernel knows `action`, the return value of a filter (its data bits do not matter).
pub fn action_available(action: u32) -> bool {
    let action = action & libc::SECCOMP_RET_ACTION_FULL;
    // SAFETY: the kernel reads the four bytes of `action`.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action)
    };
    result == 0
}

/// The flags that the kernel knows. Loads nothing, needs no privilege.
pub fn supported_flags() -> FilterFlags {
    FilterFlags::all().iter().filter(|flag| is_supported(*flag)).collect()
}

fn is_supported(mut flag: FilterFlags) -> bool {
    if flag == FilterFlags::WAIT_KILLABLE_RECV {
        flag |= FilterFlags::NEW_LISTENER;
    }
    // The kernel looks at the flags first and then cannot read the program at address zero.
    let result = set_mode_filter(flag, std::ptr::null());
    result < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_has_eight_bytes() {
        let program = [SockFilter { code: 0x0102, jt: 3, jf: 4, k: 0x0506_0708 }; 2];
        let bytes = as_bytes(&program);
        assert_eq!(bytes.len(), 16);
        assert_eq!(bytes[..2], 0x0102_u16.to_ne_bytes());
        assert_eq!(bytes[2..4], [3, 4]);
        assert_eq!(bytes[12..], 0x0506_0708_u32.to_ne_bytes());
    }

    #[test]
    fn probes_what_every_supported_kernel_has() {
        let old = FilterFlags::all() - FilterFlags::WAIT_KILLABLE_RECV;
        assert!(supported_flags().contains(old));
        assert!(action_available(libc::SECCOMP_RET_USER_NOTIF));
        assert!(action_available(libc::SECCOMP_RET_ERRNO | 1));
        assert!(!action_available(0x1234_0000));
    }

    #[test]
    fn refuses_a_program_longer_than_the_kernel_can_say() {
        let program = vec![SockFilter { code: 0, jt: 0, jf: 0, k: 0 }; 1 << 16];
        let error = load(&program, FilterFlags::LOG).unwrap_err();
        assert_eq!(error.errno(), Errno::INVAL);
        assert_eq!(
            error.to_string(),
            "seccomp(SET_MODE_FILTER, LOG, 65536 instructions): EINVAL (invalid argument)"
        );
    }
}
