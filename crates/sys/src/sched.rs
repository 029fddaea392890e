//! On which processors the caller runs; see sched_setaffinity(2).

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

/// A mask of more processors than any kernel has: what the caller's cpuset allows remains.
const ALL: [u64; 128] = [u64::MAX; 128];

/// Binds the calling thread to the processors whose bits are set in `mask`; bit 0 of the first word is CPU 0.
///
/// Of these the kernel takes those that the thread's cpuset has. Fails with `EINVAL` if there are none.
pub fn set_affinity(mask: &[u64]) -> Result<()> {
    // SAFETY: the kernel reads as many bytes of the mask as it is told.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_sched_setaffinity.cast_signed()),
            0,
            size_of_val(mask),
            mask.as_ptr(),
        )
    };
    let shown = mask.iter().rev().map(|word| format!("{word:016x}")).collect::<String>();
    let args = || format!("mask {:0>1}", shown.trim_start_matches('0'));
    if result == 0 { Ok(()) } else { Err(SyscallError::last("sched_setaffinity", args())) }
}

/// Lets the calling thread run on every processor of its cpuset.
pub fn reset_affinity() -> Result<()> {
    set_affinity(&ALL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    #[test]
    fn a_thread_is_bound_and_set_free() {
        let cpus = || rustix::thread::sched_getaffinity(None).unwrap();
        let before = cpus();
        let first = (0..1024).find(|cpu| before.is_set(*cpu)).unwrap();
        let mut mask = [0; 16];
        mask[first / 64] = 1 << (first % 64);
        set_affinity(&mask).unwrap();
        assert_eq!(cpus().count(), 1);
        reset_affinity().unwrap();
        assert!(cpus().count() >= before.count());
        assert_eq!(set_affinity(&[0]).unwrap_err().errno(), Errno::INVAL);
    }
}
