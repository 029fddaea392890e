//! Calls that are newer than the profile.
//!
//! A C library tries a new system call first and falls back to an old one if the new one fails with
//! `ENOSYS`; any other errno is an error of the call. A profile that lists what is allowed knows nothing
//! of calls that were added after it was written, and its default action, `EPERM` as a rule, breaks such
//! programs. What the author knew is judged as in runc: the largest number that any rule names on an
//! architecture, whatever the rule does, was known, and so was everything below it. Every larger number
//! fails with `ENOSYS`. Out of this count are arm's own calls, such as set_tls: their numbers are large
//! and say nothing of the profile's age.

use std::ops::RangeInclusive;

use super::emit::Target;
use super::tree::Spans;
use crate::arch::Abi;
use crate::{Action, Profile};

const ENOSYS: Action = Action::Errno(38);

/// What happens to the numbers that no rule names.
#[derive(Debug, Clone)]
pub(super) struct Unlisted {
    default: Action,
    beyond: Action,
    newer: Option<RangeInclusive<u32>>,
}

impl Unlisted {
    /// `newest` is the largest number that a rule names, if newer calls shall fail with `ENOSYS`.
    pub fn new(abi: Abi, profile: &Profile, newest: Option<u32>) -> Self {
        let default = profile.default_action;
        // Who permits by default, or leaves it to a supervisor, shall see new calls as well.
        let refuses = default.permissiveness() <= ENOSYS.permissiveness();
        let newer = newest.filter(|_| refuses).map(|newest| newest + 1..=abi.last_common());
        Self { default: profile.outcome(default), beyond: profile.outcome(ENOSYS), newer }
    }

    /// Fills the numbers from `start` to `end`.
    pub fn fill(&self, spans: &mut Spans, start: u32, end: u32) {
        let newer = self.newer.as_ref();
        let begin = newer.map(|newer| *newer.start());
        let behind = newer.and_then(|newer| newer.end().checked_add(1));
        spans.push(start, self.target(start));
        for number in [begin, behind].into_iter().flatten() {
            if start < number && number <= end {
                spans.push(number, self.target(number));
            }
        }
    }

    /// Whether the number is larger than any that the profile's author knew.
    pub fn is_newer(&self, number: u32) -> bool {
        self.newer.as_ref().is_some_and(|newer| newer.contains(&number))
    }

    /// What happens to the number.
    pub fn action(&self, number: u32) -> Action {
        if self.is_newer(number) { self.beyond } else { self.default }
    }

    fn target(&self, number: u32) -> Target {
        Target::Return(self.action(number).return_value())
    }
}
