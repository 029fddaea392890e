//! The search for a system call's number.

use super::emit::{Code, Target};
use crate::arch::X32_BIT;
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
        // Whose numbers are not those of x32 has nothing to do with them.
        match self.rest.partition_point(|span| span.start < X32_BIT) {
            0 => search(code, self.first, &self.rest),
            x32 => split(code, self.first, &self.rest, x32),
        }
    }
}

/// Searches by halves: below the first of `spans` the target is `first`.
fn search(code: &mut Code, first: Target, spans: &[Span]) -> Target {
    match spans {
        [] => first,
        // A number alone among others with one target costs one comparison, not two.
        [single, _, rest @ ..] if rest.len() <= 4 && is_alone(first, spans, 0) => {
            let others = search(code, first, rest);
            code.branch(opcode::JEQ_K, single.start, single.target, others)
        }
        _ => split(code, first, spans, middle(first, spans)),
    }
}

/// Searches the spans before the one with the index `at`, or those behind it.
fn split(code: &mut Code, first: Target, spans: &[Span], at: usize) -> Target {
    let (below, above) = spans.split_at(at);
    let Some((middle, above)) = above.split_first() else { return search(code, first, below) };
    let above = search(code, middle.target, above);
    let below = search(code, first, below);
    code.branch(opcode::JGE_K, middle.start, above, below)
}

/// The half, or what is near it and leaves no number that is alone on the border.
fn middle(first: Target, spans: &[Span]) -> usize {
    let half = spans.len() / 2;
    let near = (0..=spans.len() / 5).flat_map(|distance| [half - distance, half + distance]);
    let is_border =
        |at: usize| is_alone(first, spans, at) || at > 0 && is_alone(first, spans, at - 1);
    near.into_iter().find(|at| !is_border(*at)).unwrap_or(half)
}

/// Is the span one number among others with one target?
fn is_alone(first: Target, spans: &[Span], at: usize) -> bool {
    let before = if at == 0 { first } else { spans[at - 1].target };
    let next = spans[at].start.checked_add(1);
    spans.get(at + 1).is_some_and(|back| back.target == before && Some(back.start) == next)
}
