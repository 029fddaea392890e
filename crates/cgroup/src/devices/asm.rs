//! A policy as a program for the kernel's eBPF machine.
//!
//! The kernel runs it for each mknod and open of a device with a `struct bpf_cgroup_dev_ctx`: the
//! sort of device in the low and the access in the high half of a word, then major and minor. It
//! returns 1 to allow, 0 to deny. The program is one block for each exception, then the default.

use coracle_sys::bpf::Insn;

use super::emulate::{Devices, Policy};
use super::{DeviceAccess, DeviceKind};

/// The argument of the program, and a scratch register once it is read.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 1;
const RESULT: u8 = 0;

// Instruction codes: class, operation and source of the operand; see the kernel's
// Documentation/bpf/standardization/instruction-set.rst. All are 32 bit wide, so that numbers
// above i32::MAX compare as they are.
const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbc;
const MOVE: u8 = 0xb4;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_IF_EQUAL: u8 = 0x16;
const JUMP_IF_NOT_EQUAL: u8 = 0x56;
const EXIT: u8 = 0x95;

/// The program for a policy.
pub(crate) fn assemble(policy: &Policy) -> Vec<Insn> {
    let mut program = vec![
        load(KIND, 0),
        insn(MOVE_REGISTER, ACCESS | KIND << 4, 0, 0),
        insn(AND, KIND, 0, 0xffff),
        insn(SHIFT_RIGHT, ACCESS, 0, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for (devices, access) in &policy.exceptions {
        program.extend(block(policy.allow, *devices, *access));
    }
    program.extend(leave(policy.allow));
    program
}

/// Leaves with the opposite of the default if the device and the access match; else falls
/// through to the next block.
fn block(default: bool, devices: Devices, access: DeviceAccess) -> Vec<Insn> {
    let mut block = vec![insn(JUMP_IF_NOT_EQUAL, KIND, 0, kind_number(devices.kind))];
    for (register, number) in [(MAJOR, devices.major), (MINOR, devices.minor)] {
        if let Some(number) = number {
            block.push(insn(JUMP_IF_NOT_EQUAL, register, 0, number.cast_signed()));
        }
    }
    let bits = i32::from(access.bits());
    if default {
        // Denied if any of the access is.
        block.push(insn(MOVE_REGISTER, SCRATCH | ACCESS << 4, 0, 0));
        block.push(insn(AND, SCRATCH, 0, bits));
        block.push(insn(JUMP_IF_EQUAL, SCRATCH, 0, 0));
    } else if !access.is_all() {
        // Allowed if all of the access is.
        block.push(insn(MOVE_REGISTER, SCRATCH | ACCESS << 4, 0, 0));
        block.push(insn(AND, SCRATCH, 0, !bits));
        block.push(insn(JUMP_IF_NOT_EQUAL, SCRATCH, 0, 0));
    }
    block.extend(leave(!default));
    // Each jump goes over the instructions behind it.
    for (insn, behind) in block.iter_mut().rev().zip(0..) {
        if matches!(insn.code, JUMP_IF_EQUAL | JUMP_IF_NOT_EQUAL) {
            insn.offset = behind;
        }
    }
    block
}

fn leave(allow: bool) -> [Insn; 2] {
    [insn(MOVE, RESULT, 0, i32::from(allow)), insn(EXIT, 0, 0, 0)]
}

fn load(register: u8, offset: i16) -> Insn {
    insn(LOAD_WORD, register | CONTEXT << 4, offset, 0)
}

const fn insn(code: u8, registers: u8, offset: i16, immediate: i32) -> Insn {
    Insn { code, registers, offset, immediate }
}

/// `BPF_DEVCG_DEV_*`
const fn kind_number(kind: DeviceKind) -> i32 {
    match kind {
        DeviceKind::Block => 1,
        DeviceKind::Char => 2,
        // No device is of this sort, and no exception is about it.
        DeviceKind::All => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::DeviceRule;
    use crate::devices::emulate::tests::{all_devices, any_rule};

    /// Runs a program as the kernel does, or panics where the verifier would refuse it.
    fn run(program: &[Insn], context: [u32; 3]) -> bool {
        let mut registers = [None; 11];
        let mut at = 0;
        for _ in 0..=program.len() {
            let Insn { code, registers: names, offset, immediate } = program[at];
            let (to, from) = (usize::from(names & 15), usize::from(names >> 4));
            let value = immediate.cast_unsigned();
            at += 1;
            match code {
                LOAD_WORD => registers[to] = Some(context[usize::try_from(offset / 4).unwrap()]),
                MOVE_REGISTER => registers[to] = Some(registers[from].unwrap()),
                MOVE => registers[to] = Some(value),
                AND => *registers[to].as_mut().unwrap() &= value,
                SHIFT_RIGHT => *registers[to].as_mut().unwrap() >>= value,
                JUMP_IF_EQUAL if registers[to].unwrap() != value => {}
                JUMP_IF_NOT_EQUAL if registers[to].unwrap() == value => {}
                JUMP_IF_EQUAL | JUMP_IF_NOT_EQUAL => {
                    at = at.checked_add_signed(isize::from(offset)).unwrap();
                }
                EXIT => return registers[0].unwrap() == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
        panic!("the program does not end");
    }

    proptest! {
        #[test]
        fn the_program_answers_as_the_policy(rules in prop::collection::vec(any_rule(), 0..8)) {
            let Ok(policy) = Policy::from_rules(&rules) else { return Ok(()) };
            let program = assemble(&policy);
            for devices in all_devices() {
                for access in (1..8).map(DeviceAccess::from_bits_truncate) {
                    let kind = kind_number(devices.kind).cast_unsigned();
                    let word = u32::from(access.bits()) << 16 | kind;
                    let context = [word, devices.major.unwrap(), devices.minor.unwrap()];
                    prop_assert_eq!(
                        run(&program, context),
                        policy.allows(devices, access),
                        "{:?} {:?}", devices, access
                    );
                }
            }
        }
    }

    #[test]
    fn without_exceptions_only_the_default_is_left() {
        let program = assemble(&Policy::from_rules(&[DeviceRule::DENY_ALL]).unwrap());
        assert_eq!(program.len(), 8);
        assert!(!run(&program, [2 << 16 | 2, 1, 3]));
        assert!(run(&assemble(&Policy::ALLOW_ALL), [2 << 16 | 2, 1, 3]));
    }
}
