//! The kernel's checks of a program, made before it is handed over.
//!
//! As `bpf_check_classic` of net/core/filter.c and `seccomp_check_filter` of kernel/seccomp.c make them.

use coracle_sys::seccomp::SockFilter;

use crate::{BpfProgram, Error, opcode};

/// The bits of an operation's code; linux/bpf_common.h.
const LD_IMM: u16 = 0x00;
const LD_MEM: u16 = 0x60;
const LD_LEN: u16 = 0x80;
const LDX_IMM: u16 = 0x01;
const LDX_MEM: u16 = 0x61;
const LDX_LEN: u16 = 0x81;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const ALU_NEG: u16 = 0x84;
const RET_A: u16 = 0x16;
const TAX: u16 = 0x07;
const TXA: u16 = 0x87;
/// Makes the index register the operand of a calculation or comparison, instead of `k`.
const X: u16 = 0x08;
const DIV_K: u16 = 0x34;
const LSH_K: u16 = 0x64;
const RSH_K: u16 = 0x74;

/// The words of scratch memory.
const MEMORY: u32 = 16;
/// The size of struct seccomp_data.
const DATA: u32 = 64;

/// Whether the kernel would take the program.
pub(crate) fn verify(program: &[SockFilter]) -> Result<(), Error> {
    if program.len() > BpfProgram::MAX_LEN {
        return Err(Error::TooLong(program.len()));
    }
    for (at, instruction) in program.iter().enumerate() {
        let behind = program.len() - at - 1;
        check(*instruction, behind).map_err(|reason| Error::InvalidProgram { at, reason })?;
    }
    match program.last().map(|last| last.code) {
        Some(opcode::RET_K | RET_A) => check_memory(program),
        _ => Err(Error::InvalidProgram { at: program.len(), reason: "the program does not end" }),
    }
}

/// Checks one instruction that has `behind` others behind it.
fn check(instruction: SockFilter, behind: usize) -> Result<(), &'static str> {
    let SockFilter { code, jt, jf, k } = instruction;
    let inside = |distance: usize| distance < behind;
    let holds = match code {
        opcode::LD_ABS => k < DATA && k.is_multiple_of(4),
        LD_MEM | LDX_MEM | ST | STX => k < MEMORY,
        DIV_K => k != 0,
        LSH_K | RSH_K => k < 32,
        opcode::JA => usize::try_from(k).is_ok_and(inside),
        _ if is_branch(code) => inside(jt.into()) && inside(jf.into()),
        LD_IMM | LD_LEN | LDX_IMM | LDX_LEN | ALU_NEG | opcode::RET_K | RET_A | TAX | TXA => true,
        _ if is_calculation(code) => true,
        _ => return Err("an operation that filters do not have"),
    };
    if holds { Ok(()) } else { Err("an operand or a jump out of range") }
}

/// Equal, greater, greater or equal, and "any of these bits", with `k` or the index register.
fn is_branch(code: u16) -> bool {
    matches!(code & !X, opcode::JEQ_K | opcode::JGT_K | opcode::JGE_K | 0x45)
}

/// From `ADD` to `RSH`, and `XOR`.
fn is_calculation(code: u16) -> bool {
    let operation = code & !X;
    operation & 0x0f == ALU && (operation <= RSH_K || operation == 0xa4)
}

/// Checks that no word of scratch memory is read before it is written, on any way.
fn check_memory(program: &[SockFilter]) -> Result<(), Error> {
    // Which words are written when control comes to an instruction from above, and by its jumps.
    let mut written: u16 = 0;
    let mut by_jump = vec![u16::MAX; program.len()];
    for (at, instruction) in program.iter().enumerate() {
        written &= by_jump[at];
        let SockFilter { code, jt, jf, k } = *instruction;
        let mut jump = |distance: u32| {
            let to =
                usize::try_from(distance).ok().and_then(|distance| at.checked_add(distance + 1));
            if let Some(there) = to.and_then(|to| by_jump.get_mut(to)) {
                *there &= written;
            }
        };
        match code {
            ST | STX => written |= 1 << k,
            LD_MEM | LDX_MEM if written & (1 << k) == 0 => {
                return Err(Error::InvalidProgram { at, reason: "a read of unwritten memory" });
            }
            opcode::JA => {
                jump(k);
                written = u16::MAX;
            }
            _ if is_branch(code) => {
                jump(jt.into());
                jump(jf.into());
                written = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}
