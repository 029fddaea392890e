//! Puts a device program on a v2 cgroup, in place of what is there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_sys::bpf::{
    AttachFlags, Attached, Insn, attach_device_program, attached_device_programs,
    detach_device_program, load_device_program, program_by_id,
};
use coracle_sys::{Errno, SyscallError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::dir::Dir;
use crate::{Error, Result};

/// How often to look again when another program changes the cgroup at the same time.
const ATTEMPTS: usize = 5;

/// Loads a program and makes it the only one of a cgroup. At no moment is the cgroup without a
/// filter that it had.
pub(crate) fn replace(dir: &Dir, program: &[Insn]) -> Result<()> {
    let cgroup = dir.fd()?;
    let refused = |source| Error::refused(source, "");
    let program = load(program).map_err(refused)?;
    let mut result = attach(cgroup, &program);
    for _ in 1..ATTEMPTS {
        // Somebody detached what was to be replaced.
        if !matches!(&result, Err(error) if error.errno() == Errno::NOENT) {
            break;
        }
        result = attach(cgroup, &program);
    }
    result.map_err(refused)
}

fn attach(cgroup: BorrowedFd<'_>, program: &OwnedFd) -> Result<(), SyscallError> {
    let Attached { flags, ids } = attached_device_programs(cgroup)?;
    let old = ids.iter().map(|id| program_by_id(*id)).collect::<Result<Vec<_>, _>>()?;
    let multi = AttachFlags::ALLOW_MULTI;
    match old.as_slice() {
        [] => attach_device_program(cgroup, program, multi, None),
        // A place for one program only: attaching takes it over.
        [_] if !flags.allows_multi() => attach_device_program(cgroup, program, flags, None),
        [one] => attach_device_program(cgroup, program, multi, Some(one.as_fd())),
        several => {
            attach_device_program(cgroup, program, multi, None)?;
            several.iter().try_for_each(|old| detach_device_program(cgroup, old))
        }
    }
}

/// Loads a program. Kernels before 5.11 count it against the memory that this process may lock,
/// and the usual limit of that is too low.
fn load(program: &[Insn]) -> Result<OwnedFd, SyscallError> {
    let first = load_device_program(program);
    if !matches!(&first, Err(error) if error.errno() == Errno::PERM) {
        return first;
    }
    let before = getrlimit(Resource::Memlock);
    let unlimited = Rlimit { current: None, maximum: None };
    let hard = Rlimit { current: before.maximum, maximum: before.maximum };
    let raised =
        setrlimit(Resource::Memlock, unlimited).or_else(|_| setrlimit(Resource::Memlock, hard));
    if raised.is_err() {
        return first;
    }
    let second = load_device_program(program);
    setrlimit(Resource::Memlock, before)
        .map_err(|errno| SyscallError::new("setrlimit", "MEMLOCK", errno))?;
    second
}
