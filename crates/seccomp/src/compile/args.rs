//! Comparisons of arguments.

use super::emit::{Code, Target};
use super::plan::Case;
use crate::opcode;
use crate::profile::{Comparator, Operator};

/// Decides between the cases of one system call: the first that fits, or else `default`.
pub(super) fn write<'p>(
    code: &mut Code,
    cases: impl DoubleEndedIterator<Item = Case<'p>>,
    wide: bool,
    default: Target,
) -> Target {
    cases.rev().fold(default, |next, case| {
        let fits = Target::Return(case.action.return_value());
        case.args
            .iter()
            .rev()
            .fold(fits, |fits, comparator| Comparison::of(comparator, fits, next).write(code, wide))
    })
}

/// A comparison in the terms of BPF, which has no "less" and no "not".
struct Comparison {
    operation: u16,
    argument: u32,
    mask: u64,
    value: u64,
    yes: Target,
    no: Target,
}

impl Comparison {
    fn of(comparator: &Comparator, yes: Target, no: Target) -> Self {
        let Comparator { index: argument, op, value, value_two } = *comparator;
        let (operation, negated) = match op {
            Operator::Equal | Operator::MaskedEqual => (opcode::JEQ_K, false),
            Operator::NotEqual => (opcode::JEQ_K, true),
            Operator::Greater => (opcode::JGT_K, false),
            Operator::LessOrEqual => (opcode::JGT_K, true),
            Operator::GreaterOrEqual => (opcode::JGE_K, false),
            Operator::Less => (opcode::JGE_K, true),
        };
        let (mask, value) = match op {
            Operator::MaskedEqual => (value, value_two & value),
            _ => (u64::MAX, value),
        };
        let (yes, no) = if negated { (no, yes) } else { (yes, no) };
        Self { operation, argument, mask, value, yes, no }
    }

    fn write(&self, code: &mut Code, wide: bool) -> Target {
        let (high_mask, low_mask) = halves(self.mask);
        let (high, low) = halves(self.value);
        // struct seccomp_data: the arguments start at 16, with the lower half first on the supported
        // architectures.
        let offset = 16 + 8 * self.argument;
        let low_decides = if low_mask == 0 {
            self.yes
        } else {
            code.branch(self.operation, low, self.yes, self.no);
            mask_and_load(code, low_mask, offset)
        };
        if !wide || high_mask == 0 {
            return low_decides;
        }
        let equal = code.branch(opcode::JEQ_K, high, low_decides, self.no);
        if self.operation != opcode::JEQ_K {
            code.branch(opcode::JGT_K, high, self.yes, equal);
        }
        mask_and_load(code, high_mask, offset + 4)
    }
}

fn mask_and_load(code: &mut Code, mask: u32, offset: u32) -> Target {
    if mask != u32::MAX {
        code.mask(mask);
    }
    code.load(offset)
}

/// The upper and the lower half.
fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}
