//! Why a call has the verdict it has.

use super::plan::{Plan, Plans};
use crate::profile::{Comparator, Operator};
use crate::{Action, Arch, Error, Profile};

/// What may happen to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What happens.
    pub action: Action,
    /// If these arguments, which are not known, are so; without any, what happens in any (other) case.
    pub when: Vec<Comparator>,
    /// Why.
    pub reason: Reason,
}

/// Why something happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// By this rule of the profile, counted from 0.
    Rule(usize),
    /// By the default action: no rule is about it.
    Default,
    /// It is newer than any call that a rule names.
    Newer,
    /// The profile does not list the architecture.
    Architecture,
}

/// What [`compile`](crate::compile) makes of the call of `arch` with this number: one outcome if the known
/// `args` decide, else several, of which the first whose condition holds comes true.
///
/// # Errors
///
/// As of [`compile`](crate::compile), and [`Error::UnsupportedArchitecture`] for `arch`.
pub fn explain(
    profile: &Profile,
    arch: Arch,
    number: u32,
    args: [Option<u64>; 6],
) -> Result<Vec<Outcome>, Error> {
    let plans = Plans::of(profile)?;
    let abi = arch.abi().ok_or(Error::UnsupportedArchitecture(arch))?;
    Ok(match plans.architectures.iter().find(|plan| plan.abi == abi) {
        Some(plan) => outcomes(&plans, plan, number, args),
        None => vec![certain(Action::KillProcess, Reason::Architecture)],
    })
}

fn certain(action: Action, reason: Reason) -> Outcome {
    Outcome { action, when: Vec::new(), reason }
}

fn outcomes(plans: &Plans<'_>, plan: &Plan, number: u32, args: [Option<u64>; 6]) -> Vec<Outcome> {
    let listed = plan.of(number);
    if let Some(always) = plans.cases(listed).find(|case| case.args.is_empty()) {
        return vec![certain(always.action, Reason::Rule(always.rule))];
    }
    let mut outcomes = Vec::new();
    for case in plans.cases(listed) {
        let Some(when) = open(case.args, plan.abi.wide, args) else { continue };
        let is_certain = when.is_empty();
        outcomes.push(Outcome { when, ..certain(case.action, Reason::Rule(case.rule)) });
        if is_certain {
            return outcomes;
        }
    }
    let reason = if plan.unlisted.is_newer(number) { Reason::Newer } else { Reason::Default };
    outcomes.push(certain(plan.unlisted.action(number), reason));
    outcomes
}

/// The comparisons that remain open; nothing if one fails.
fn open(comparators: &[Comparator], wide: bool, args: [Option<u64>; 6]) -> Option<Vec<Comparator>> {
    let mut open = Vec::new();
    for comparator in comparators {
        let known = usize::try_from(comparator.index).ok().and_then(|index| *args.get(index)?);
        match known.map(|argument| comparator.holds(argument, wide)) {
            Some(true) => {}
            Some(false) => return None,
            None => open.push(*comparator),
        }
    }
    Some(open)
}

impl Comparator {
    fn holds(&self, argument: u64, wide: bool) -> bool {
        let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
        let (left, right) = (cut(argument), cut(self.value));
        match self.op {
            Operator::NotEqual => left != right,
            Operator::Less => left < right,
            Operator::LessOrEqual => left <= right,
            Operator::Equal => left == right,
            Operator::GreaterOrEqual => left >= right,
            Operator::Greater => left > right,
            Operator::MaskedEqual => left & right == cut(self.value_two) & right,
        }
    }
}
