//! What a program says of a call, without the kernel.

use coracle_sys::seccomp::SockFilter;

use crate::{Action, Arch, BpfProgram, opcode};

/// Goes on if the accumulator has any of these bits.
const JSET_K: u16 = 0x45;

impl BpfProgram {
    /// The verdict on the call of `arch` with this number and these arguments; nothing if the architecture
    /// has no table, or the program does what [`compile`](crate::compile) never does.
    pub fn verdict(&self, arch: Arch, number: u32, args: [u64; 6]) -> Option<Action> {
        let token = arch.abi()?.token;
        let mut accumulator = 0;
        let mut at: usize = 0;
        loop {
            let SockFilter { code, jt, jf, k } = *self.instructions().get(at)?;
            at += 1;
            let holds = match code {
                opcode::LD_ABS => {
                    accumulator = word(k, (token, number), args)?;
                    continue;
                }
                opcode::AND_K => {
                    accumulator &= k;
                    continue;
                }
                opcode::JA => {
                    at = at.checked_add(usize::try_from(k).ok()?)?;
                    continue;
                }
                opcode::RET_K => return Action::of_return_value(k),
                opcode::JEQ_K => accumulator == k,
                opcode::JGT_K => accumulator > k,
                opcode::JGE_K => accumulator >= k,
                JSET_K => accumulator & k != 0,
                _ => return None,
            };
            at += usize::from(if holds { jt } else { jf });
        }
    }
}

/// The word at `offset` of struct seccomp_data.
fn word(offset: u32, (token, number): (u32, u32), args: [u64; 6]) -> Option<u32> {
    let half = |high: bool| {
        let arg = args.get(usize::try_from(offset - 16).ok()? / 8)?;
        u32::try_from(if high { arg >> 32 } else { arg & 0xffff_ffff }).ok()
    };
    match offset {
        0 => Some(number),
        4 => Some(token),
        16..64 if offset.is_multiple_of(8) => half(false),
        16..64 if offset.is_multiple_of(4) => half(true),
        _ => None,
    }
}
