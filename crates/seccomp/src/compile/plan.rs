//! Which rules are for which number of which architecture.

use std::ops::Range;

use super::enosys::Unlisted;
use crate::arch::Abi;
use crate::table::{self, Multiplexed, Syscall};
use crate::{Action, Arch, Comparator, Error, Profile, Rule};

/// The rules of a profile, by the numbers of the calls.
#[derive(Debug)]
pub(super) struct Plans<'a> {
    /// In the order of the profile.
    pub architectures: Vec<Plan>,
    cases: Vec<Case<'a>>,
}

/// The rules of one architecture.
#[derive(Debug)]
pub(super) struct Plan {
    pub abi: Abi,
    /// By number, and for one number in the order of the profile.
    pub listed: Vec<Listed>,
    pub unlisted: Unlisted,
}

/// The system call with this number, and one of its cases: its place among all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    pub number: u32,
    case: u32,
}

impl Listed {
    /// By the number, then as in the profile. One number sorts in half the time that two do.
    fn order(&self) -> u64 {
        u64::from(self.number) << 32 | u64::from(self.case)
    }
}

/// What happens to calls with certain arguments; without comparisons, to all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub args: &'a [Comparator],
    pub action: Action,
    /// The place of the rule in the profile.
    pub rule: usize,
}

impl<'a> Plans<'a> {
    pub fn of(profile: &'a Profile) -> Result<Self, Error> {
        let names = profile.rules.iter().map(|rule| rule.names.len()).sum();
        let mut draft = Draft { profile, lists: Vec::new(), cases: Vec::new() };
        for arch in &profile.architectures {
            draft.add_architecture(*arch, names)?;
        }
        for (place, rule) in profile.rules.iter().enumerate() {
            draft.add_rule(place, rule)?;
        }
        Ok(draft.finish())
    }

    /// The cases of what is listed.
    pub fn cases<'p>(&'p self, listed: &'p [Listed]) -> impl DoubleEndedIterator<Item = Case<'a>> {
        listed.iter().map(|listed| self.cases[listed.case as usize])
    }
}

impl Plan {
    /// What is listed for a number.
    pub fn of(&self, number: u32) -> &[Listed] {
        let from = self.listed.partition_point(|listed| listed.number < number);
        let to = self.listed.partition_point(|listed| listed.number <= number);
        &self.listed[from..to]
    }
}

/// Plans that are being made.
struct Draft<'a> {
    profile: &'a Profile,
    lists: Vec<List>,
    cases: Vec<Case<'a>>,
}

struct List {
    abi: Abi,
    listed: Vec<Listed>,
    /// The largest number that a rule names.
    newest: Option<u32>,
}

impl<'a> Draft<'a> {
    fn add_architecture(&mut self, arch: Arch, names: usize) -> Result<(), Error> {
        let abi = arch.abi().ok_or(Error::UnsupportedArchitecture(arch))?;
        if !self.lists.iter().any(|list| list.abi == abi) {
            self.lists.push(List { abi, listed: Vec::with_capacity(names), newest: None });
        }
        Ok(())
    }

    fn add_rule(&mut self, place: usize, rule: &'a Rule) -> Result<(), Error> {
        if let Some(wrong) = rule.args.iter().find(|comparator| comparator.index > 5) {
            let (names, index) = (rule.names.join(", "), wrong.index);
            return Err(Error::ArgumentIndex { names, index });
        }
        let counts = self.counts(rule);
        let cases = match &rule.args[..] {
            _ if !counts => 0..0,
            args if compares_twice(args) => self.add_cases(args.chunks(1), place, rule),
            args => self.add_cases([args], place, rule),
        };
        for call in rule.names.iter().filter_map(|name| table::lookup(name)) {
            self.lists.iter_mut().for_each(|list| list.add(call, cases.clone()));
            if let Some(call) = call.multiplexed() {
                self.add_multiplexed(call, place, rule);
            }
        }
        Ok(())
    }

    /// Not if its action is the default action.
    fn counts(&self, rule: &Rule) -> bool {
        rule.action.return_value() != self.profile.default_action.return_value()
    }

    /// A case for each of `all`.
    fn add_cases(
        &mut self,
        all: impl IntoIterator<Item = &'a [Comparator]>,
        place: usize,
        rule: &Rule,
    ) -> Range<u32> {
        // No document has as many.
        let count = |cases: &Vec<_>| u32::try_from(cases.len()).unwrap_or(u32::MAX);
        let (first, action) = (count(&self.cases), self.profile.outcome(rule.action));
        self.cases.extend(all.into_iter().map(|args| Case { args, action, rule: place }));
        first..count(&self.cases)
    }

    /// The arguments of a multiplexed call are in memory, where no filter can look. A rule that compares
    /// them is taken to match if it is not more permissive than the default, else not to match.
    fn add_multiplexed(&mut self, call: Multiplexed, place: usize, rule: &Rule) {
        let Some(x86) = self.lists.iter().position(|list| list.abi.has_multiplexers()) else {
            return;
        };
        let counts = self.counts(rule);
        let permits_more =
            rule.action.permissiveness() > self.profile.default_action.permissiveness();
        let cases = match rule.args.is_empty() || !permits_more {
            true if counts => self.add_cases([call.selection()], place, rule),
            _ => 0..0,
        };
        self.lists[x86].add_number(call.number(), cases);
    }

    fn finish(self) -> Plans<'a> {
        let finish = |list: List| {
            let List { abi, mut listed, newest } = list;
            listed.sort_unstable_by_key(Listed::order);
            let newest = newest.filter(|_| self.profile.newer_is_enosys);
            Plan { abi, listed, unlisted: Unlisted::new(abi, self.profile, newest) }
        };
        Plans { architectures: self.lists.into_iter().map(finish).collect(), cases: self.cases }
    }
}

impl List {
    fn add(&mut self, call: Syscall, cases: Range<u32>) {
        if let Some(number) = call.number(self.abi) {
            self.add_number(number, cases);
        }
    }

    fn add_number(&mut self, number: u32, cases: Range<u32>) {
        if number <= self.abi.last_common() {
            self.newest = self.newest.max(Some(number));
        }
        self.listed.extend(cases.map(|case| Listed { number, case }));
    }
}

fn compares_twice(args: &[Comparator]) -> bool {
    let before = |at: usize, index| args[..at].iter().any(|other| other.index == index);
    args.iter().enumerate().any(|(at, arg)| before(at, arg.index))
}
