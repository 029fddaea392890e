//! The programs judge as those of libseccomp, filled as runc fills it.
//!
//! Meant to differ, and kept out of the comparison: newer calls fail with `ENOSYS` (runc does that
//! outside libseccomp), a foreign call kills the process and not the thread (libseccomp is told so),
//! multiplexed calls whose rules compare arguments, and the order of rules that overlap.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use common::{Data, SUPPORTED, X32_BIT, arbitrary, json, multiplexed, run, token};
use coracle_seccomp::{
    Action, Arch, BpfProgram, Comparator, Operator, Profile, Rule, SockFilter, compile,
};
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use proptest::prelude::*;

/// What libseccomp makes of a profile by the calls that runc makes.
fn oracle(profile: &Profile) -> Vec<SockFilter> {
    let mut filter = ScmpFilterContext::new(to_action(profile.default_action)).unwrap();
    filter.set_act_badarch(ScmpAction::KillProcess).unwrap();
    for arch in &profile.architectures {
        filter.add_arch(to_arch(*arch)).unwrap();
    }
    if !profile.architectures.contains(&Arch::X86_64) {
        filter.remove_arch(ScmpArch::X8664).unwrap();
    }
    for rule in profile.rules.iter().filter(|rule| rule.action != profile.default_action) {
        for name in &rule.names {
            add(&mut filter, rule, name);
        }
    }
    let mut file = tempfile::tempfile().unwrap();
    filter.export_bpf(&file).unwrap();
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    BpfProgram::from_bytes(&bytes).unwrap().instructions().to_vec()
}

fn add(filter: &mut ScmpFilterContext, rule: &Rule, name: &str) {
    let Ok(call) = ScmpSyscall::from_name(name) else { return };
    let action = to_action(rule.action);
    let comparisons: Vec<ScmpArgCompare> = rule.args.iter().map(to_comparison).collect();
    let indices: BTreeSet<u32> = rule.args.iter().map(|arg| arg.index).collect();
    if indices.len() < comparisons.len() {
        for comparison in &comparisons {
            filter.add_rule_conditional(action, call, &[*comparison]).unwrap();
        }
    } else {
        filter.add_rule_conditional(action, call, &comparisons).unwrap();
    }
}

fn to_action(action: Action) -> ScmpAction {
    match action {
        Action::KillProcess => ScmpAction::KillProcess,
        Action::KillThread => ScmpAction::KillThread,
        Action::Trap(0) => ScmpAction::Trap,
        Action::Errno(errno) => ScmpAction::Errno(errno.into()),
        Action::Notify => ScmpAction::Notify,
        Action::Trace(data) => ScmpAction::Trace(data),
        Action::Log => ScmpAction::Log,
        Action::Allow => ScmpAction::Allow,
        Action::Trap(_) => panic!("libseccomp has no data for traps"),
    }
}

fn to_arch(arch: Arch) -> ScmpArch {
    arch.oci_name().parse().unwrap()
}

fn to_comparison(arg: &Comparator) -> ScmpArgCompare {
    let (op, datum) = match arg.op {
        Operator::NotEqual => (ScmpCompareOp::NotEqual, arg.value),
        Operator::Less => (ScmpCompareOp::Less, arg.value),
        Operator::LessOrEqual => (ScmpCompareOp::LessOrEqual, arg.value),
        Operator::Equal => (ScmpCompareOp::Equal, arg.value),
        Operator::GreaterOrEqual => (ScmpCompareOp::GreaterEqual, arg.value),
        Operator::Greater => (ScmpCompareOp::Greater, arg.value),
        Operator::MaskedEqual => (ScmpCompareOp::MaskedEqual(arg.value), arg.value_two),
    };
    ScmpArgCompare::new(arg.index, op, datum)
}

/// The profile less the names that this libseccomp is too old to know, and less the rule on newer calls.
fn comparable(mut profile: Profile) -> Profile {
    profile.newer_is_enosys = false;
    for rule in &mut profile.rules {
        rule.names.retain(|name| ScmpSyscall::from_name(name).is_ok());
    }
    profile
}

/// Every number that is or may become a system call, with arguments where a rule looks at them.
fn calls(profile: &Profile) -> Vec<Data> {
    let arguments = arguments(profile);
    let mut calls = vec![Data { token: 0x1234, number: 0, args: [0; 6] }];
    for arch in SUPPORTED {
        let looked_at = looked_at(profile, arch);
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        let edges = [0xf_0000, 0xf_0002, 0xf_0005, X32_BIT - 1, u32::MAX - 1, u32::MAX];
        for number in (base..=base + 600).chain(edges) {
            let few = if looked_at.contains(&number) { arguments.len() } else { 3 };
            calls.extend(arguments[..few].iter().map(|args| Data::new(arch, number, *args)));
        }
        for number in [102, 117] {
            let selectors = (0..25).map(|selector| [selector, 0, 0, 0, 0, 0]);
            calls.extend(selectors.map(|args| Data::new(arch, number, args)));
        }
    }
    calls
}

/// Lists of arguments on both sides of the values that the rules compare with.
fn arguments(profile: &Profile) -> Vec<[u64; 6]> {
    let mut values = BTreeSet::from([0, 1, u64::MAX]);
    for arg in profile.rules.iter().flat_map(|rule| &rule.args) {
        for value in [arg.value, arg.value_two, arg.value_two & arg.value] {
            let near = [value, value.wrapping_add(1), value.wrapping_sub(1)];
            let high = |value: u64| [value, value ^ 1 << 32, value & 0xffff_ffff, value | 1 << 63];
            values.extend(near.into_iter().flat_map(high));
        }
    }
    let values: Vec<u64> = values.into_iter().collect();
    let mut state = 1_u64;
    let mut pick = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        values[usize::try_from(state >> 33).unwrap() % values.len()]
    };
    let mixed: Vec<_> = (0..4 * values.len()).map(|_| std::array::from_fn(|_| pick())).collect();
    values.iter().map(|value| [*value; 6]).chain(mixed).collect()
}

/// The numbers whose arguments a rule compares.
fn looked_at(profile: &Profile, arch: Arch) -> BTreeSet<u32> {
    let rules = profile.rules.iter().filter(|rule| !rule.args.is_empty());
    rules.flat_map(|rule| &rule.names).filter_map(|name| arch.syscall(name)).collect()
}

/// Whether the calls of a multiplexer are judged by rules that compare arguments.
fn is_blind(profile: &Profile, call: &Data) -> bool {
    let is_it =
        |name: &String| multiplexed(Arch::X86, name).is_some_and(|(mux, _)| mux == call.number);
    call.token == token(Arch::X86)
        && profile.rules.iter().any(|rule| !rule.args.is_empty() && rule.names.iter().any(is_it))
}

fn check(profile: Profile) -> (usize, usize) {
    let profile = comparable(profile);
    let ours = compile(&profile).unwrap();
    let theirs = oracle(&profile);
    let calls = calls(&profile);
    for call in calls.iter().filter(|call| !is_blind(&profile, call)) {
        let (verdict, _) = run(ours.instructions(), call);
        let (expected, _) = run(&theirs, call);
        assert_eq!(
            verdict, expected,
            "{verdict:x}, libseccomp {expected:x}: {call:x?} in {profile:#?}"
        );
    }
    (ours.len(), theirs.len())
}

#[test]
fn tables_agree() {
    let rows = include_str!("../src/table/syscalls.rs").lines();
    let names = rows.filter_map(|row| row.strip_prefix("    (\"")?.split('"').next());
    for (name, arch) in names.flat_map(|name| SUPPORTED.map(|arch| (name, arch))) {
        // Negative for a call that another architecture has or that is multiplexed.
        let theirs = ScmpSyscall::from_name_by_arch(name, to_arch(arch)).map_or(-1, i32::from);
        if let Ok(theirs) = u32::try_from(theirs) {
            assert_eq!(arch.syscall(name), Some(theirs), "{name} {arch}");
        }
    }
}

#[test]
fn no_call_is_missing() {
    for arch in SUPPORTED {
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        for number in (0..=600).chain(0xf_0000..0xf_0008).map(|number| base + number) {
            let theirs = ScmpSyscall::from(number.cast_signed()).get_name_by_arch(to_arch(arch));
            if let Ok(name) = theirs {
                assert_eq!(arch.syscall(&name), Some(number), "{name} {arch}");
            }
        }
    }
}

#[test]
fn default_profile() {
    for capabilities in [&[][..], &["CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"], &["CAP_SYS_ADMIN"]] {
        let Some(profile) = json::default_profile(capabilities) else { return };
        let (ours, theirs) = check(profile);
        println!("{ours} instructions, libseccomp {theirs}");
    }
}

/// What runc puts before the program of libseccomp, by its own count.
#[test]
fn newer_calls_are_those_of_runc() {
    let Some(profile) = json::default_profile(&[]) else { return };
    let mut profile = comparable(profile);
    profile.default_action = Action::Errno(1);
    let theirs = oracle(&profile);
    profile.newer_is_enosys = true;
    let ours = compile(&profile).unwrap();
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        let names = profile.rules.iter().flat_map(|rule| &rule.names);
        let numbers = names.filter_map(|name| {
            ScmpSyscall::from_name_by_arch(name, to_arch(arch)).map(i32::from).ok()
        });
        let newest = numbers.max().unwrap().cast_unsigned();
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        for number in base..=base + 600 {
            let call = Data::new(arch, number, [0; 6]);
            let (verdict, _) = run(ours.instructions(), &call);
            let expected = match number > newest {
                true => Action::Errno(38).return_value(),
                false => run(&theirs, &call).0,
            };
            assert_eq!(verdict, expected, "{call:x?}, the newest is {newest:x}");
        }
    }
}

#[test]
fn every_action_by_every_other() {
    let actions = [
        Action::KillProcess,
        Action::KillThread,
        Action::Trap(0),
        Action::Errno(1),
        Action::Errno(38),
        Action::Trace(1),
        Action::Notify,
        Action::Log,
        Action::Allow,
    ];
    for default in actions {
        let mut profile = Profile::new(default);
        let names = ["read", "open", "clone", "socket", "shmctl", "mount", "ptrace", "bpf", "kill"];
        profile.rules =
            names.iter().zip(actions).map(|(name, action)| Rule::new([*name], action)).collect();
        check(profile);
    }
}

#[test]
fn every_operator_by_every_architecture() {
    let values = [0, 5, 0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_0000_0005, u64::MAX];
    for op in Operator::ALL {
        for value in values {
            let mut profile = Profile::new(Action::Errno(1));
            profile.architectures = SUPPORTED.to_vec();
            let comparator = Comparator { index: 2, op, value, value_two: 0xf_0000_0005 };
            profile.rules = vec![Rule::new(["read", "clone"], Action::Allow).when(comparator)];
            check(profile);
        }
    }
}

/// The same profile with what libseccomp 2.5.4 can merge without a mistake: for each call one rule that
/// compares each argument once, or several with one action that ask for equality.
fn simple(profile: &Profile) -> Profile {
    let mut simple = Profile::new(without_data(profile.default_action));
    simple.architectures.clone_from(&profile.architectures);
    let mut seen: BTreeMap<&str, (Action, bool)> = BTreeMap::new();
    for rule in &profile.rules {
        let mut indices = BTreeSet::new();
        let mut args = rule.args.clone();
        args.retain(|arg| indices.insert(arg.index));
        let equality = args.iter().all(|arg| arg.op == Operator::Equal);
        for name in &rule.names {
            let own = (without_data(rule.action), equality);
            let (action, mergeable) = *seen.entry(name).or_insert(own);
            let is_first = !simple.rules.iter().any(|rule| rule.names.contains(name));
            // Rules for a multiplexer and for what it multiplexes are merged as well.
            if (is_first || (mergeable && equality)) && !["socketcall", "ipc"].contains(&&**name) {
                simple.rules.push(Rule { names: vec![name.clone()], action, args: args.clone() });
            }
        }
    }
    // It forgets to load the number if the first rules are all for calls that the architecture lacks.
    let is_allow = simple.default_action == Action::Allow;
    let other = if is_allow { Action::Errno(1) } else { Action::Allow };
    simple.rules.push(Rule::new(["getpid"], other));
    simple
}

fn without_data(action: Action) -> Action {
    if matches!(action, Action::Trap(_)) { Action::Trap(0) } else { action }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_profiles(profile in arbitrary::profile()) {
        check(simple(&profile));
    }
}
