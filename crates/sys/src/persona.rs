//! What the kernel gives the caller to see, and from where: personality(2) and set_mempolicy(2).

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

/// Programs that the calling thread executes find the execution domain `persona` (`PER_*`).
pub fn set_personality(persona: u32) -> Result<()> {
    // SAFETY: only numbers are passed.
    let result =
        unsafe { libc::syscall(libc::c_long::from(raw::__NR_personality.cast_signed()), persona) };
    let args = || format!("{persona:#x}");
    if result >= 0 { Ok(()) } else { Err(SyscallError::last("personality", args())) }
}

/// The calling thread gets its memory by `mode` (`MPOL_*`, with flags) from the nodes whose bits are set in `nodes`;
/// bit 0 of the first word is node 0. `ENOSYS` by a kernel without NUMA.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<()> {
    // The kernel takes one bit less than it is told.
    let bits = nodes.len() * 64 + 1;
    // SAFETY: the kernel reads as many bits of the mask as it is told, but the last, in whole words.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_set_mempolicy.cast_signed()),
            mode,
            nodes.as_ptr(),
            bits,
        )
    };
    let args = || format!("mode {mode:#x}, nodes {nodes:x?}");
    if result == 0 { Ok(()) } else { Err(SyscallError::last("set_mempolicy", args())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    #[test]
    fn a_thread_appears_as_it_is_asked() {
        set_personality(0x8).unwrap();
        let shown = std::fs::read_to_string("/proc/thread-self/personality").unwrap();
        assert_eq!(shown.trim(), "00000008");
        set_personality(0).unwrap();
    }

    #[test]
    fn memory_comes_from_nodes_that_there_are() {
        match set_memory_policy(2, &[1]) {
            Err(error) if error.errno() == Errno::NOSYS => return,
            result => result.unwrap(),
        }
        let wrong = set_memory_policy(2, &[0, 0, 1 << 63]).unwrap_err();
        assert_eq!(wrong.errno(), Errno::INVAL);
        set_memory_policy(0, &[]).unwrap();
    }
}
