//! Programs for the kernel's eBPF machine that guard the devices of a cgroup; see bpf(2).
//!
//! Only what `BPF_PROG_TYPE_CGROUP_DEVICE` needs: load, attach, replace, detach, query. All of it
//! needs `CAP_BPF` and `CAP_NET_ADMIN` (or `CAP_SYS_ADMIN`) in the initial user namespace.

use std::ffi::{CStr, c_long};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::{Errno, Result, SyscallError};

/// One instruction of eBPF, as in the kernel's `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    /// Class, operation and source of the operand.
    pub code: u8,
    /// The destination register in the low four bits, the source register in the high four.
    pub registers: u8,
    /// The offset of a jump or of a memory access.
    pub offset: i16,
    /// The immediate operand.
    pub immediate: i32,
}

/// How a program is attached: the `BPF_F_*` bits that `BPF_PROG_QUERY` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttachFlags(u32);

impl AttachFlags {
    /// Several programs may be attached to one cgroup, and all must agree.
    pub const ALLOW_MULTI: Self = Self(1 << 1);
    const REPLACE: Self = Self(1 << 2);

    /// Whether the cgroup takes several programs.
    pub fn allows_multi(self) -> bool {
        self.0 & Self::ALLOW_MULTI.0 != 0
    }
}

/// The device programs attached to one cgroup, not those of its parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// How they are attached.
    pub flags: AttachFlags,
    /// The kernel's numbers of the programs, in the order they run.
    pub ids: Vec<u32>,
}

const PROG_LOAD: c_long = 5;
const PROG_ATTACH: c_long = 8;
const PROG_DETACH: c_long = 9;
const PROG_GET_FD_BY_ID: c_long = 13;
const PROG_QUERY: c_long = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;

/// The most programs the kernel attaches to one cgroup.
const MAX_PROGRAMS: usize = 64;

#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct AttachAttr {
    target_fd: RawFd,
    attach_bpf_fd: RawFd,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: RawFd,
}

#[repr(C)]
struct QueryAttr {
    target_fd: RawFd,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Loads a program that decides on the devices of a cgroup (`BPF_PROG_LOAD`).
///
/// `EINVAL` and `EACCES` mean that the verifier refused it. Kernels before 5.11 count programs
/// against `RLIMIT_MEMLOCK` and return `EPERM` when it is too low.
pub fn load_device_program(program: &[Insn]) -> Result<OwnedFd> {
    const LICENSE: &CStr = c"Apache-2.0";
    let args = || format!("BPF_PROG_LOAD, CGROUP_DEVICE, {} instructions", program.len());
    let insn_cnt = u32::try_from(program.len())
        .map_err(|_| SyscallError::new("bpf", args(), Errno::TOOBIG))?;
    let mut attr = LoadAttr {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt,
        insns: address(program.as_ptr()),
        license: address(LICENSE.as_ptr()),
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name: *b"coracle_devices\0",
        prog_ifindex: 0,
        expected_attach_type: ATTACH_CGROUP_DEVICE,
    };
    // SAFETY: attr is the kernel's layout for this command; the instructions and the license
    // it points to live until the call returns.
    let fd = unsafe { bpf(PROG_LOAD, &mut attr) }.map_err(|e| e.with(args))?;
    // SAFETY: this command returns a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a device program to a cgroup v2 directory (`BPF_PROG_ATTACH`).
///
/// With `replace`, that program gives way in the same instant (`BPF_F_REPLACE`, Linux 5.6); it
/// must be attached here, and `flags` be [`AttachFlags::ALLOW_MULTI`]. Attaching with flags that
/// do not allow several programs replaces the one that is there.
pub fn attach_device_program(
    cgroup: impl AsFd,
    program: impl AsFd,
    flags: AttachFlags,
    replace: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let mut attr = AttachAttr {
        target_fd: cgroup.as_fd().as_raw_fd(),
        attach_bpf_fd: program.as_fd().as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: flags.0,
        replace_bpf_fd: 0,
    };
    if let Some(old) = replace {
        attr.attach_flags |= AttachFlags::REPLACE.0;
        attr.replace_bpf_fd = old.as_raw_fd();
    }
    let args = format!("BPF_PROG_ATTACH, CGROUP_DEVICE, flags {:#x}", attr.attach_flags);
    // SAFETY: attr is the kernel's layout for this command and holds no pointers.
    unsafe { bpf(PROG_ATTACH, &mut attr) }.map_err(|e| e.with(|| args))?;
    Ok(())
}

/// Detaches a device program from a cgroup (`BPF_PROG_DETACH`); `ENOENT` if it is not attached.
pub fn detach_device_program(cgroup: impl AsFd, program: impl AsFd) -> Result<()> {
    let mut attr = AttachAttr {
        target_fd: cgroup.as_fd().as_raw_fd(),
        attach_bpf_fd: program.as_fd().as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: 0,
        replace_bpf_fd: 0,
    };
    // SAFETY: attr is the kernel's layout for this command and holds no pointers.
    unsafe { bpf(PROG_DETACH, &mut attr) }
        .map_err(|e| e.with(|| "BPF_PROG_DETACH, CGROUP_DEVICE".into()))?;
    Ok(())
}

/// The device programs that are attached to a cgroup (`BPF_PROG_QUERY`).
pub fn attached_device_programs(cgroup: impl AsFd) -> Result<Attached> {
    let mut ids = vec![0_u32; MAX_PROGRAMS];
    let mut attr = QueryAttr {
        target_fd: cgroup.as_fd().as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: address(ids.as_mut_ptr()),
        prog_cnt: u32::try_from(ids.len()).unwrap_or(0),
        padding: 0,
    };
    // SAFETY: attr is the kernel's layout for this command; ids has room for prog_cnt numbers
    // and lives until the call returns.
    unsafe { bpf(PROG_QUERY, &mut attr) }
        .map_err(|e| e.with(|| "BPF_PROG_QUERY, CGROUP_DEVICE".into()))?;
    ids.truncate(usize::try_from(attr.prog_cnt).unwrap_or(0));
    Ok(Attached { flags: AttachFlags(attr.attach_flags), ids })
}

/// A descriptor of the program with this number (`BPF_PROG_GET_FD_BY_ID`, needs
/// `CAP_SYS_ADMIN`); `ENOENT` if it is gone.
pub fn program_by_id(id: u32) -> Result<OwnedFd> {
    let mut attr = IdAttr { id, next_id: 0, open_flags: 0 };
    // SAFETY: attr is the kernel's layout for this command and holds no pointers.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &mut attr) }
        .map_err(|e| e.with(|| format!("BPF_PROG_GET_FD_BY_ID, {id}")))?;
    // SAFETY: this command returns a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An errno that still lacks the arguments of its call.
struct Failed(Errno);

impl Failed {
    fn with(self, args: impl FnOnce() -> String) -> SyscallError {
        SyscallError::new("bpf", args(), self.0)
    }
}

/// bpf(2). Descriptors it returns are close-on-exec.
///
/// # Safety
///
/// `attr` must have the layout of `union bpf_attr` for `command`, and what it points to must be
/// valid for the call.
unsafe fn bpf<T>(command: c_long, attr: &mut T) -> Result<RawFd, Failed> {
    let attr: *mut T = attr;
    // SAFETY: the caller vouches for attr, and the kernel reads no more than the size given.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    RawFd::try_from(result).ok().filter(|fd| *fd >= 0).ok_or_else(|| {
        Failed(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    })
}

/// A pointer as the kernel's attributes carry it.
fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r0 = 1; exit`
    const ALLOW_ALL: [Insn; 2] = [
        Insn { code: 0xb7, registers: 0, offset: 0, immediate: 1 },
        Insn { code: 0x95, registers: 0, offset: 0, immediate: 0 },
    ];

    #[test]
    fn layouts_match_the_kernel() {
        assert_eq!(size_of::<Insn>(), 8);
        assert_eq!(size_of::<LoadAttr>(), 72);
        assert_eq!(size_of::<AttachAttr>(), 20);
        assert_eq!(size_of::<QueryAttr>(), 32);
        assert_eq!(size_of::<IdAttr>(), 12);
    }

    #[test]
    fn loads_a_program_and_explains_a_bad_one() {
        match load_device_program(&ALLOW_ALL) {
            Ok(program) => assert!(program.as_raw_fd() >= 0),
            Err(error) if error.errno() == Errno::PERM => {
                eprintln!("skipped: loading needs CAP_BPF: {error}");
                return;
            }
            Err(error) => panic!("{error}"),
        }
        let error = load_device_program(&ALLOW_ALL[1..]).unwrap_err();
        assert_eq!(error.errno(), Errno::ACCESS, "{error}");
        assert!(error.to_string().starts_with("bpf(BPF_PROG_LOAD, CGROUP_DEVICE, 1 inst"));
    }
}
