//! The operations of classic BPF that the compiler uses; linux/bpf_common.h.

/// Loads the word at `k` of the seccomp data.
pub(crate) const LD_ABS: u16 = 0x20;
/// Masks the accumulator with `k`.
pub(crate) const AND_K: u16 = 0x54;
/// Skips `k` instructions.
pub(crate) const JA: u16 = 0x05;
/// Is the accumulator `k`?
pub(crate) const JEQ_K: u16 = 0x15;
/// Is the accumulator greater than `k`?
pub(crate) const JGT_K: u16 = 0x25;
/// Is the accumulator `k` or greater?
pub(crate) const JGE_K: u16 = 0x35;
/// Returns `k`.
pub(crate) const RET_K: u16 = 0x06;
