//! Classic BPF, written from its end.
//!
//! Jumps go forward only, so that whoever writes the last instruction first knows how far each jump
//! goes when it is written.

use coracle_sys::seccomp::SockFilter;

use crate::opcode;

/// Where control goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Out of the filter, with this return value.
    Return(u32),
    /// To the instruction with this number, counted from the end.
    At(usize),
}

/// How far a conditional jump reaches.
const REACH: usize = u8::MAX as usize;

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Code {
    reversed: Vec<SockFilter>,
    /// The instruction closest to the program's beginning that leads to a target.
    nearest: Vec<(Target, usize)>,
}

impl Code {
    /// Goes to `yes` if the accumulator compares with `k` as the operation says, else to `no`.
    pub fn branch(&mut self, operation: u16, k: u32, yes: Target, no: Target) -> Target {
        let yes = self.bring_near(yes);
        let no = self.bring_near(no);
        let jt = self.distance(yes);
        let jf = self.distance(no);
        self.push(SockFilter { code: operation, jt, jf, k })
    }

    /// Loads a word of the seccomp data, then goes on with what was written last.
    pub fn load(&mut self, offset: u32) -> Target {
        self.push(SockFilter { code: opcode::LD_ABS, jt: 0, jf: 0, k: offset })
    }

    /// Masks the accumulator, then goes on with what was written last.
    pub fn mask(&mut self, mask: u32) -> Target {
        self.push(SockFilter { code: opcode::AND_K, jt: 0, jf: 0, k: mask })
    }

    /// The program, from its beginning.
    pub fn finish(mut self) -> Vec<SockFilter> {
        self.reversed.reverse();
        self.reversed
    }

    fn push(&mut self, instruction: SockFilter) -> Target {
        self.reversed.push(instruction);
        Target::At(self.reversed.len() - 1)
    }

    /// The number of an instruction that leads to `target` and can be reached from the next instruction,
    /// also if one more is written in between.
    fn bring_near(&mut self, target: Target) -> usize {
        let here = self.reversed.len();
        let known = self.nearest.iter().position(|(known, _)| *known == target);
        let nearest = match (known, target) {
            (Some(known), _) => Some(self.nearest[known].1),
            (None, Target::At(place)) => Some(place),
            (None, Target::Return(_)) => None,
        };
        if let Some(place) = nearest.filter(|place| here - place <= REACH) {
            return place;
        }
        self.push(match target {
            Target::Return(k) => SockFilter { code: opcode::RET_K, jt: 0, jf: 0, k },
            Target::At(place) => Self::jump(here - place - 1),
        });
        match known {
            Some(known) => self.nearest[known].1 = here,
            None => self.nearest.push((target, here)),
        }
        here
    }

    fn jump(distance: usize) -> SockFilter {
        // A program of more than 4096 instructions is refused later.
        let k = u32::try_from(distance).unwrap_or(u32::MAX);
        SockFilter { code: opcode::JA, jt: 0, jf: 0, k }
    }

    /// How many instructions lie between the next one and `place`, which was brought near.
    fn distance(&self, place: usize) -> u8 {
        let distance = self.reversed.len() - place - 1;
        debug_assert!(distance <= REACH, "{distance} instructions are too far to jump");
        let [low, ..] = distance.to_le_bytes();
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns(program: &[SockFilter]) -> usize {
        program.iter().filter(|instruction| instruction.code == opcode::RET_K).count()
    }

    #[test]
    fn shares_returns_that_are_near() {
        let mut code = Code::default();
        let mut next = Target::Return(2);
        for k in 0..10 {
            next = code.branch(opcode::JEQ_K, k, Target::Return(1), next);
        }
        let program = code.finish();
        assert_eq!((program.len(), returns(&program)), (12, 2));
        assert_eq!(program[0], SockFilter { code: opcode::JEQ_K, jt: 10, jf: 0, k: 9 });
    }

    #[test]
    fn reaches_what_is_far() {
        let mut code = Code::default();
        let far = code.branch(opcode::JEQ_K, 7, Target::Return(1), Target::Return(2));
        let mut next = Target::Return(3);
        for k in 0..600 {
            next = code.branch(opcode::JEQ_K, k, far, next);
        }
        let program = code.finish();
        for (at, instruction) in program.iter().enumerate() {
            if instruction.code == opcode::JEQ_K && instruction.k != 7 {
                let mut to = at + 1 + usize::from(instruction.jt);
                while program[to].code == opcode::JA {
                    to += 1 + usize::try_from(program[to].k).unwrap();
                }
                assert_eq!((program[to].code, program[to].k), (opcode::JEQ_K, 7));
            }
        }
    }
}
