//! From a profile to a program.

mod args;
mod emit;
mod enosys;
mod explain;
mod plan;
mod tree;

pub use explain::{Outcome, Reason, explain};

use emit::{Code, Target};
use plan::{Listed, Plan, Plans};
use tree::Spans;

use crate::arch::Abi;
use crate::{Action, BpfProgram, Error, Profile, opcode};

/// Where struct seccomp_data has the number of the system call.
const NUMBER: u32 = 0;
/// Where struct seccomp_data has the token of the architecture.
const ARCHITECTURE: u32 = 4;

/// What happens to a call by the convention of an architecture that the profile does not name.
const FOREIGN: Target = Target::Return(Action::KillProcess.return_value());

/// Compiles a profile. Pure: the result depends on the profile only.
///
/// A call's verdict is the one that runc has libseccomp give:
///
/// - A call by the convention of an architecture that is not listed kills the process (libseccomp: the
///   thread). So does a call of x32 if only x86_64 is listed, and the reverse.
/// - A name that an architecture lacks, or that no table knows, is skipped.
/// - A rule whose action is the default action is skipped.
/// - A rule that compares one argument twice matches if any of its comparisons holds, another rule if
///   all do.
/// - If a rule without comparisons names the call, the first such rule decides. Else the first rule
///   that matches does, else the default action. (libseccomp promises no order among rules that match
///   and differ in their action.)
/// - If [`Profile::newer_is_enosys`] and the default action is to kill, to trap or to return an errno,
///   a call with a larger number than any rule names on that architecture fails with `ENOSYS`.
/// - If [`Profile::notifies_of_denials`], what is denied after all this is notified of.
/// - On 32-bit x86, a rule for a socket or System V IPC call is also for that call by way of
///   socketcall(2) or ipc(2). A filter cannot see the arguments of such a call. A rule that compares
///   them takes effect there whatever they are, unless its action is more permissive than the default:
///   then it has none. (libseccomp is laxer, and lets the call through.)
///
/// # Errors
///
/// [`Error::NoArchitecture`], [`Error::UnsupportedArchitecture`], [`Error::ArgumentIndex`] and
/// [`Error::TooLong`].
pub fn compile(profile: &Profile) -> Result<BpfProgram, Error> {
    let plans = Plans::of(profile)?;
    if plans.architectures.is_empty() {
        return Err(Error::NoArchitecture);
    }
    let mut compiler = Compiler {
        plans: &plans,
        code: Code::default(),
        default: Target::Return(profile.outcome(profile.default_action).return_value()),
        blocks: Vec::new(),
    };
    let groups = by_token(&plans.architectures);
    let sections: Vec<Section> =
        groups.iter().map(|(token, plans)| compiler.section(*token, plans)).collect();
    compiler.finish(&sections)
}

/// The plans with the same token together, with the smaller numbers first.
fn by_token(plans: &[Plan]) -> Vec<(u32, Vec<&Plan>)> {
    let mut groups: Vec<(u32, Vec<&Plan>)> = Vec::new();
    for plan in plans {
        match groups.iter_mut().find(|(token, _)| *token == plan.abi.token) {
            Some((_, group)) => group.push(plan),
            None => groups.push((plan.abi.token, vec![plan])),
        }
    }
    for (_, group) in &mut groups {
        group.sort_by_key(|plan| plan.abi.numbers());
    }
    groups
}

/// The targets of all numbers under one token.
struct Section {
    token: u32,
    spans: Spans,
}

/// Code that compares the arguments of a call, for calls with the same cases to share.
struct Block<'p> {
    listed: &'p [Listed],
    wide: bool,
    start: Target,
}

struct Compiler<'p> {
    plans: &'p Plans<'p>,
    code: Code,
    default: Target,
    blocks: Vec<Block<'p>>,
}

impl<'p> Compiler<'p> {
    fn section(&mut self, token: u32, plans: &[&'p Plan]) -> Section {
        let mut spans = Spans::new(FOREIGN);
        for plan in plans {
            self.plan(plan, &mut spans);
        }
        if let Some(plan) = plans.last()
            && let Some(beyond) = plan.abi.numbers().1.checked_add(1)
        {
            spans.push(beyond, FOREIGN);
            // A tracer that skips a call makes its number -1, which is not one of x32.
            plan.unlisted.fill(&mut spans, u32::MAX, u32::MAX);
        }
        Section { token, spans }
    }

    fn plan(&mut self, plan: &'p Plan, spans: &mut Spans) {
        let (mut next, last) = plan.abi.numbers();
        for listed in plan.listed.chunk_by(|a, b| a.number == b.number) {
            let number = listed[0].number;
            if next < number {
                plan.unlisted.fill(spans, next, number - 1);
            }
            spans.push(number, self.call(plan.abi, listed));
            next = number + 1;
        }
        plan.unlisted.fill(spans, next, last);
    }

    /// Where a call goes; writes the comparisons of its arguments.
    fn call(&mut self, abi: Abi, listed: &'p [Listed]) -> Target {
        let plans = self.plans;
        if let Some(always) = plans.cases(listed).find(|case| case.args.is_empty()) {
            return Target::Return(always.action.return_value());
        }
        let meaning = |listed| plans.cases(listed).map(|case| (case.args, case.action));
        let is_same = |block: &&Block<'p>| {
            block.wide == abi.wide && meaning(block.listed).eq(meaning(listed))
        };
        if let Some(block) = self.blocks.iter().find(is_same) {
            return block.start;
        }
        let start = args::write(&mut self.code, plans.cases(listed), abi.wide, self.default);
        self.blocks.push(Block { listed, wide: abi.wide, start });
        start
    }

    /// Writes what comes before the comparisons: the choice between the sections, and their searches.
    fn finish(mut self, sections: &[Section]) -> Result<BpfProgram, Error> {
        let entries: Vec<_> = sections
            .iter()
            .rev()
            .map(|section| (section.token, self.search(&section.spans)))
            .collect();
        let mut next = FOREIGN;
        for (token, entry) in entries {
            next = self.code.branch(opcode::JEQ_K, token, entry, next);
        }
        self.code.load(ARCHITECTURE);
        BpfProgram::new(self.code.finish())
    }

    fn search(&mut self, spans: &Spans) -> Target {
        if let Some(only) = spans.only() {
            return only;
        }
        spans.write(&mut self.code);
        self.code.load(NUMBER)
    }
}
