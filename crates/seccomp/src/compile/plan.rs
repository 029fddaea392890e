//! Which rules are for which number of which architecture.

use super::enosys::Unlisted;
use crate::arch::Abi;
use crate::table::{self, Syscall, multiplex};
use crate::{Action, Arch, Comparator, Error, Profile, Rule};

/// What happens to calls with certain arguments; without comparisons, to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case<'a> {
    pub args: &'a [Comparator],
    pub action: Action,
}

/// A case of the system call with this number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub number: u32,
    pub case: Case<'a>,
    /// The place of the rule in the profile.
    pub rule: usize,
}

/// The rules of one architecture.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub abi: Abi,
    /// By number, and for one number in the order of the profile.
    pub listed: Vec<Listed<'a>>,
    pub unlisted: Unlisted,
}

/// The plans of the architectures, in the order of the profile.
pub(super) fn plans(profile: &Profile) -> Result<Vec<Plan<'_>>, Error> {
    profile.rules.iter().try_for_each(check)?;
    let mut lists = Vec::new();
    for arch in &profile.architectures {
        let list = List::new(*arch, profile.default_action)?;
        if !lists.iter().any(|known: &List<'_>| known.abi == list.abi) {
            lists.push(list);
        }
    }
    for (place, rule) in profile.rules.iter().enumerate() {
        for name in &rule.names {
            let call = table::lookup(name);
            lists.iter_mut().for_each(|list| list.add(name, call, (place, rule)));
        }
    }
    Ok(lists.into_iter().map(|list| list.finish(profile.newer_is_enosys)).collect())
}

fn check(rule: &Rule) -> Result<(), Error> {
    match rule.args.iter().find(|comparator| comparator.index > 5) {
        None => Ok(()),
        Some(wrong) => {
            Err(Error::ArgumentIndex { names: rule.names.join(", "), index: wrong.index })
        }
    }
}

/// A rule, and its place in the profile.
type Placed<'a> = (usize, &'a Rule);

/// A plan that is being made.
struct List<'a> {
    abi: Abi,
    is_x86: bool,
    default: Action,
    listed: Vec<Listed<'a>>,
    newest: Option<u32>,
}

impl<'a> List<'a> {
    fn new(arch: Arch, default: Action) -> Result<Self, Error> {
        let abi = arch.abi().ok_or(Error::UnsupportedArchitecture(arch))?;
        Ok(Self { abi, is_x86: arch == Arch::X86, default, listed: Vec::new(), newest: None })
    }

    /// Lists the calls that `name` stands for: none, one, and on x86 perhaps one through a multiplexer.
    fn add(&mut self, name: &str, call: Option<Syscall>, rule: Placed<'a>) {
        if let Some(number) = call.and_then(|call| call.number(self.abi)) {
            if number <= self.abi.last_common() {
                self.newest = self.newest.max(Some(number));
            }
            self.add_direct(number, rule);
        }
        if self.is_x86
            && let Some(call) = multiplex::lookup(name)
        {
            self.newest = self.newest.max(Some(call.number));
            self.add_multiplexed(call, rule);
        }
    }

    fn add_direct(&mut self, number: u32, rule: Placed<'a>) {
        let args = &rule.1.args;
        if compares_twice(args) {
            args.chunks(1).for_each(|args| self.add_case(number, args, rule));
        } else {
            self.add_case(number, args, rule);
        }
    }

    /// The arguments of a multiplexed call are in memory, where no filter can look. A rule that compares
    /// them is taken to match if it is not more permissive than the default, else not to match.
    fn add_multiplexed(&mut self, call: multiplex::Multiplexed, rule: Placed<'a>) {
        let permits_more = rule.1.action.permissiveness() > self.default.permissiveness();
        if rule.1.args.is_empty() || !permits_more {
            self.add_case(call.number, call.selection(), rule);
        }
    }

    fn add_case(&mut self, number: u32, args: &'a [Comparator], (rule, of): Placed<'a>) {
        let action = of.action;
        if action.return_value() != self.default.return_value() {
            self.listed.push(Listed { number, case: Case { args, action }, rule });
        }
    }

    fn finish(mut self, newer_is_enosys: bool) -> Plan<'a> {
        self.listed.sort_by_key(|listed| listed.number);
        let newest = self.newest.filter(|_| newer_is_enosys);
        let unlisted = Unlisted::new(self.abi, self.default, newest);
        Plan { abi: self.abi, listed: self.listed, unlisted }
    }
}

fn compares_twice(args: &[Comparator]) -> bool {
    let before = |at: usize, index| args[..at].iter().any(|other| other.index == index);
    args.iter().enumerate().any(|(at, arg)| before(at, arg.index))
}
