//! The verdicts that `compile` documents, one by one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod common;

use common::{Data, SUPPORTED, judge, run};
use coracle_seccomp::{
    Action, Arch, BpfProgram, Comparator, Error, Operator, Profile, Rule, compile,
};

const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);

fn profile(default: Action, architectures: &[Arch], rules: Vec<Rule>) -> Profile {
    let mut profile = Profile::new(default);
    profile.architectures = architectures.to_vec();
    profile.rules = rules;
    profile
}

#[track_caller]
fn assert_verdict(profile: &Profile, data: Data, expected: Action) {
    let program = compile(profile).unwrap();
    let (verdict, _) = run(program.instructions(), &data);
    assert_eq!(verdict, expected.return_value(), "{verdict:x} for {data:x?}");
}

fn arg(value: u64) -> [u64; 6] {
    [0, value, 0, 0, 0, 0]
}

#[test]
fn every_action_is_returned() {
    let actions = [
        Action::KillProcess,
        Action::KillThread,
        Action::Trap(7),
        Action::Errno(4095),
        Action::Notify,
        Action::Trace(9),
        Action::Log,
        Action::Allow,
    ];
    for default in actions {
        let mut profile = profile(default, &[Arch::X86_64], vec![]);
        assert_verdict(&profile, Data::call(Arch::X86_64, "read", [0; 6]), default);
        for action in actions {
            profile.rules = vec![Rule::new(["read"], action), Rule::new(["mseal"], action)];
            assert_verdict(&profile, Data::call(Arch::X86_64, "read", [0; 6]), action);
            assert_verdict(&profile, Data::call(Arch::X86_64, "write", [0; 6]), default);
        }
    }
}

#[test]
fn every_operator_compares_64_bits() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let value = 0x5_0000_0005;
    let others = [
        (0, Less),
        (5, Less),
        (0x4_ffff_ffff, Less),
        (0x5_0000_0004, Less),
        (value, Equal),
        (0x5_0000_0006, Greater),
        (0x6_0000_0000, Greater),
        (0x6_0000_0005, Greater),
        (u64::MAX, Greater),
    ];
    for (op, expected) in [
        (Operator::NotEqual, &[Less, Greater][..]),
        (Operator::Less, &[Less]),
        (Operator::LessOrEqual, &[Less, Equal]),
        (Operator::Equal, &[Equal]),
        (Operator::GreaterOrEqual, &[Equal, Greater]),
        (Operator::Greater, &[Greater]),
    ] {
        let rule = Rule::new(["read"], Action::Allow).when(Comparator::new(1, op, value));
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let profile = profile(EPERM, &[arch], vec![rule.clone()]);
            for (other, ordering) in others {
                let action = if expected.contains(&ordering) { Action::Allow } else { EPERM };
                assert_verdict(&profile, Data::call(arch, "read", arg(other)), action);
            }
        }
    }
}

#[test]
fn masks_are_for_both_sides() {
    let rule = |mask, value| {
        vec![Rule::new(["read"], Action::Allow).when(Comparator::masked(1, mask, value))]
    };
    for (mask, value, other, expected) in [
        (0xf0, 0x30, 0xffff_ffff_ffff_ff3f, Action::Allow),
        (0xf0, 0x30, 0x40, EPERM),
        (0xf0, 0x3f, 0x30, Action::Allow),
        (0xf0_0000_0000, 0x30_0000_0000, 0x3f_ffff_ffff, Action::Allow),
        (0xf0_0000_0000, 0x30_0000_0000, 0x40_0000_0000, EPERM),
        (0xf0_0000_000f, 0x30_0000_0001, 0x30_0000_0001, Action::Allow),
        (0xf0_0000_000f, 0x30_0000_0001, 0x30_0000_0002, EPERM),
        (0, 5, 7, Action::Allow),
        (u64::MAX, 5, 0x1_0000_0005, EPERM),
    ] {
        let profile = profile(EPERM, &[Arch::X86_64], rule(mask, value));
        assert_verdict(&profile, Data::call(Arch::X86_64, "read", arg(other)), expected);
    }
}

#[test]
fn narrow_architectures_compare_32_bits() {
    let comparator = Comparator::new(1, Operator::Equal, 0x7_0000_0005);
    let rule = Rule::new(["read"], Action::Allow).when(comparator);
    for arch in [Arch::X86, Arch::X32, Arch::Arm] {
        let profile = profile(EPERM, &[arch], vec![rule.clone()]);
        assert_verdict(&profile, Data::call(arch, "read", arg(0x1_0000_0005)), Action::Allow);
        assert_verdict(&profile, Data::call(arch, "read", arg(6)), EPERM);
    }
}

#[test]
fn comparisons_of_different_arguments_must_all_hold() {
    let rule = Rule::new(["read"], Action::Allow)
        .when(Comparator::new(0, Operator::Equal, 1))
        .when(Comparator::new(5, Operator::Equal, 2));
    let profile = profile(EPERM, &[Arch::X86_64], vec![rule]);
    for (args, expected) in [
        ([1, 0, 0, 0, 0, 2], Action::Allow),
        ([1, 0, 0, 0, 0, 0], EPERM),
        ([0, 0, 0, 0, 0, 2], EPERM),
    ] {
        assert_verdict(&profile, Data::call(Arch::X86_64, "read", args), expected);
    }
}

#[test]
fn of_comparisons_of_one_argument_one_must_hold() {
    let rule = Rule::new(["read"], Action::Allow)
        .when(Comparator::new(1, Operator::Equal, 1))
        .when(Comparator::new(0, Operator::Equal, 9))
        .when(Comparator::new(1, Operator::Equal, 2));
    let profile = profile(EPERM, &[Arch::X86_64], vec![rule]);
    for (args, expected) in [
        (arg(1), Action::Allow),
        (arg(2), Action::Allow),
        ([9, 0, 0, 0, 0, 0], Action::Allow),
        (arg(3), EPERM),
    ] {
        assert_verdict(&profile, Data::call(Arch::X86_64, "read", args), expected);
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let above = |value, errno| {
        let comparator = Comparator::new(1, Operator::Greater, value);
        Rule::new(["read"], Action::Errno(errno)).when(comparator)
    };
    let profile =
        profile(Action::Allow, &[Arch::X86_64], vec![above(9, 9), above(5, 5), above(0, 2)]);
    for (value, expected) in [(10, Action::Errno(9)), (6, Action::Errno(5)), (1, Action::Errno(2))]
    {
        assert_verdict(&profile, Data::call(Arch::X86_64, "read", arg(value)), expected);
    }
    assert_verdict(&profile, Data::call(Arch::X86_64, "read", arg(0)), Action::Allow);
}

#[test]
fn a_rule_without_comparisons_comes_before_those_with() {
    let comparator = Comparator::new(1, Operator::Equal, 1);
    let rules = vec![
        Rule::new(["read"], Action::Errno(5)).when(comparator),
        Rule::new(["read"], Action::Allow),
        Rule::new(["read"], Action::Errno(6)),
    ];
    let profile = profile(EPERM, &[Arch::X86_64], rules);
    assert_verdict(&profile, Data::call(Arch::X86_64, "read", arg(1)), Action::Allow);
}

#[test]
fn a_rule_with_the_default_action_is_skipped() {
    let rules = vec![Rule::new(["read"], EPERM), Rule::new(["read"], Action::Allow)];
    let profile = profile(EPERM, &[Arch::X86_64], rules);
    assert_verdict(&profile, Data::call(Arch::X86_64, "read", [0; 6]), Action::Allow);
}

#[test]
fn foreign_calls_kill() {
    let rules = || vec![Rule::new(["read"], Action::Allow)];
    let cases = [
        (&[Arch::X86_64][..], Data::new(Arch::X86, 3, [0; 6])),
        (&[Arch::X86_64], Data { token: 0x1234, ..Data::new(Arch::X86, 0, [0; 6]) }),
        (&[Arch::X86_64], Data::call(Arch::X32, "read", [0; 6])),
        (&[Arch::X86_64, Arch::X86], Data::new(Arch::X32, u32::MAX - 1, [0; 6])),
        (&[Arch::X32], Data::call(Arch::X86_64, "read", [0; 6])),
    ];
    for (architectures, data) in cases {
        assert_verdict(&profile(EPERM, architectures, rules()), data, Action::KillProcess);
    }
    // What a tracer makes of a call that shall not be made.
    let skipped = Data::new(Arch::X86_64, u32::MAX, [0; 6]);
    assert_verdict(&profile(EPERM, &[Arch::X86_64], rules()), skipped, EPERM);
}

#[test]
fn unknown_names_are_skipped() {
    let rules = vec![Rule::new(["no_such_call", "", "read"], Action::Allow)];
    let profile = profile(EPERM, &[Arch::Aarch64], rules);
    assert_verdict(&profile, Data::call(Arch::Aarch64, "read", [0; 6]), Action::Allow);
}

#[test]
fn newer_calls_do_not_exist() {
    let names = ["read", "openat2", "set_tls"];
    for arch in SUPPORTED {
        // A rule dates the profile even if it is skipped.
        for rules in [
            vec![Rule::new(names, Action::Allow)],
            vec![Rule::new(["read"], Action::Allow), Rule::new(names, EPERM)],
        ] {
            let mut profile = profile(EPERM, &[arch], rules);
            assert_verdict(&profile, Data::call(arch, "faccessat2", [0; 6]), ENOSYS);
            assert_verdict(&profile, Data::call(arch, "pidfd_open", [0; 6]), EPERM);
            profile.newer_is_enosys = false;
            assert_verdict(&profile, Data::call(arch, "faccessat2", [0; 6]), EPERM);
        }
    }
    let newer = Data::call(Arch::X86_64, "faccessat2", [0; 6]);
    for (default, expected) in [
        (Action::KillProcess, ENOSYS),
        (Action::KillThread, ENOSYS),
        (Action::Trap(0), ENOSYS),
        (Action::Notify, Action::Notify),
        (Action::Trace(0), Action::Trace(0)),
        (Action::Log, Action::Log),
        (Action::Allow, Action::Allow),
    ] {
        let rules = vec![Rule::new(["read"], Action::Errno(5))];
        assert_verdict(&profile(default, &[Arch::X86_64], rules), newer, expected);
    }
    // A profile that names nothing knows nothing.
    assert_verdict(&profile(EPERM, &[Arch::X86_64], vec![]), newer, EPERM);
}

#[test]
fn private_calls_of_arm_say_nothing_of_age() {
    let rules = vec![Rule::new(["read", "set_tls"], Action::Allow)];
    let profile = profile(EPERM, &[Arch::Arm], rules);
    assert_verdict(&profile, Data::call(Arch::Arm, "set_tls", [0; 6]), Action::Allow);
    assert_verdict(&profile, Data::call(Arch::Arm, "cacheflush", [0; 6]), EPERM);
    assert_verdict(&profile, Data::call(Arch::Arm, "openat2", [0; 6]), ENOSYS);
}

#[test]
fn multiplexed_calls_are_judged_too() {
    let socketcall = |selector| Data::call(Arch::X86, "socketcall", [selector, 0, 0, 0, 0, 0]);
    let rules = vec![Rule::new(["connect", "accept", "shmat"], Action::Allow)];
    let mut profile = profile(EPERM, &[Arch::X86], rules);
    assert_verdict(&profile, Data::call(Arch::X86, "connect", [0; 6]), Action::Allow);
    assert_verdict(&profile, socketcall(3), Action::Allow);
    assert_verdict(&profile, socketcall(5), Action::Allow);
    assert_verdict(&profile, socketcall(1), EPERM);
    assert_verdict(&profile, Data::call(Arch::X86, "ipc", [21, 0, 0, 0, 0, 0]), Action::Allow);
    profile.rules.push(Rule::new(["socketcall"], Action::Log));
    assert_verdict(&profile, socketcall(3), Action::Log);
}

#[test]
fn what_a_filter_cannot_see_permits_nothing() {
    let socketcall = Data::call(Arch::X86, "socketcall", [1, 0, 0, 0, 0, 0]);
    let vsock = Comparator::new(0, Operator::NotEqual, 40);
    let allowing = vec![Rule::new(["socket"], Action::Allow).when(vsock)];
    assert_verdict(&profile(EPERM, &[Arch::X86], allowing), socketcall, EPERM);
    let vsock = Comparator::new(0, Operator::Equal, 40);
    let refusing = vec![Rule::new(["socket"], EPERM).when(vsock)];
    let profile = profile(Action::Allow, &[Arch::X86], refusing);
    assert_verdict(&profile, socketcall, EPERM);
    assert_verdict(&profile, Data::call(Arch::X86, "socket", [1, 0, 0, 0, 0, 0]), Action::Allow);
}

/// A rule of its own for every call, each with comparisons that no other has.
fn large(architectures: &[Arch], comparisons: u64) -> Profile {
    let rows = include_str!("../src/table/syscalls.rs").lines();
    let names = rows.filter_map(|row| row.strip_prefix("    (\"")?.split('"').next());
    let rules = names.zip(0_u64..).map(|(name, row)| {
        let errno = u16::try_from(row % 300).unwrap();
        (0..comparisons).fold(Rule::new([name], Action::Errno(errno)), |rule, index| {
            let value = (row << 33) + index;
            rule.when(Comparator::new(0, Operator::GreaterOrEqual, value))
        })
    });
    profile(Action::Allow, architectures, rules.collect())
}

#[test]
fn large_programs_jump_far() {
    let profile = large(&[Arch::X86_64], 1);
    let program = compile(&profile).unwrap();
    assert!(program.len() > 2000, "{}", program.len());
    assert_eq!(BpfProgram::from_bytes(program.as_bytes()), Ok(program.clone()));
    for number in 0..500 {
        for value in [0, 1 << 33, 200 << 33, 400 << 33, u64::MAX] {
            let data = Data::new(Arch::X86_64, number, [value; 6]);
            let (verdict, _) = run(program.instructions(), &data);
            assert_eq!(verdict, judge(&profile, &data), "{data:x?}");
        }
    }
}

#[test]
fn programs_have_an_end() {
    let error = compile(&large(&SUPPORTED, 3)).unwrap_err();
    let Error::TooLong(length) = error else { panic!("{error}") };
    assert!(length > BpfProgram::MAX_LEN);
}

#[test]
fn says_what_is_wrong_with_a_profile() {
    let error = |profile: &Profile| compile(profile).unwrap_err().to_string();
    assert_eq!(
        error(&profile(EPERM, &[], vec![])),
        "the profile names no architecture; add that of the host"
    );
    assert_eq!(
        error(&profile(EPERM, &[Arch::X86_64, Arch::S390x], vec![])),
        "the system calls of SCMP_ARCH_S390X are not known to this build; leave the architecture out"
    );
    let rule = Rule::new(["read", "write"], EPERM).when(Comparator::new(6, Operator::Equal, 0));
    assert_eq!(
        error(&profile(EPERM, &[Arch::X86_64], vec![rule])),
        "the rule for read, write compares argument 6; arguments are counted from 0 to 5"
    );
}

#[test]
fn architectures_may_be_named_twice() {
    let once = profile(EPERM, &[Arch::X86_64, Arch::X86], vec![Rule::new(["read"], Action::Allow)]);
    let mut twice = once.clone();
    twice.architectures.extend([Arch::X86, Arch::X86_64]);
    assert_eq!(compile(&twice), compile(&once));
}

#[test]
fn calls_with_the_same_comparisons_share_them() {
    let rule = |names: &[&str]| {
        let comparator = Comparator::new(0, Operator::Greater, 0x1_0000_0000);
        profile(
            EPERM,
            &[Arch::X86_64],
            vec![Rule::new(names.to_vec(), Action::Allow).when(comparator)],
        )
    };
    let one = compile(&rule(&["read"])).unwrap();
    let three = compile(&rule(&["read", "mount", "openat2"])).unwrap();
    assert!(three.len() < one.len() + 6, "{} and {}", one.len(), three.len());
}

#[test]
fn says_what_is_wrong_with_bytes() {
    let program = compile(&profile(EPERM, &[Arch::X86_64], vec![])).unwrap();
    let bytes = program.as_bytes();
    assert_eq!(BpfProgram::from_bytes(bytes), Ok(program.clone()));
    let error = |bytes: &[u8]| BpfProgram::from_bytes(bytes).unwrap_err().to_string();
    let cut = &bytes[..bytes.len() - 1];
    let expected =
        format!("not a seccomp program: the bytes end at instruction {}", program.len() - 1);
    assert_eq!(error(cut), expected);
    assert_eq!(error(&[]), "not a seccomp program: the program does not end at instruction 0");
    assert!(!program.notifies());
}
