//! The search for a system call's number.

use super::emit::{Code, Target};
use crate::opcode;

/// All numbers, each with its target: runs of numbers with the same target are stored as one.
#[derive(Debug)]
pub(super) struct Spans {
    first: Target,
    /// Where a run starts that is not the first; ascending.
    rest: Vec<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    target: Target,
}

impl Spans {
    /// All numbers go to `target`.
    pub fn new(target: Target) -> Self {
        Self { first: target, rest: Vec::new() }
    }

    /// The numbers from `start` go to `target`; `start` is larger than in the calls before.
    pub fn push(&mut self, start: u32, target: Target) {
        if start == 0 {
            self.first = target;
            return;
        }
        if self.rest.last().map_or(self.first, |last| last.target) != target {
            self.rest.push(Span { start, target });
        }
    }

    /// The target of all numbers, if they have but one.
    pub fn only(&self) -> Option<Target> {
        self.rest.is_empty().then_some(self.first)
    }

    /// Goes to the target of the number in the accumulator.
    pub fn write(&self, code: &mut Code) -> Target {
        search(code, self.first, &self.rest)
    }
}

/// Searches by halves: below the first of `spans` the target is `first`.
fn search(code: &mut Code, first: Target, spans: &[Span]) -> Target {
    match spans {
        [] => first,
        // A number alone among others with one target costs one comparison, not two.
        [single, back, rest @ ..] if is_alone(first, single, back) && rest.len() < 4 => {
            let others = search(code, first, rest);
            code.branch(opcode::JEQ_K, single.start, single.target, others)
        }
        _ => {
            let (below, above) = spans.split_at(spans.len() / 2);
            let Some((middle, above)) = above.split_first() else { return first };
            let above = search(code, middle.target, above);
            let below = search(code, first, below);
            code.branch(opcode::JGE_K, middle.start, above, below)
        }
    }
}

fn is_alone(first: Target, single: &Span, back: &Span) -> bool {
    back.target == first && single.start.checked_add(1) == Some(back.start)
}
