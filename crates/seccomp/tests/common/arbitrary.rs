//! Random profiles and calls.

use coracle_seccomp::{Action, Arch, Comparator, Operator, Profile, Rule};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Data, SUPPORTED, X32_BIT, token};

/// Calls with small, large and private numbers, on all and on some architectures, multiplexed and not.
const NAMES: [&str; 28] = [
    "read",
    "write",
    "open",
    "openat",
    "clone",
    "clone3",
    "personality",
    "socket",
    "connect",
    "accept",
    "send",
    "socketcall",
    "ipc",
    "semop",
    "shmctl",
    "msgget",
    "set_tls",
    "cacheflush",
    "arch_prctl",
    "io_uring_setup",
    "close_range",
    "openat2",
    "faccessat2",
    "mseal",
    "file_setattr",
    "io_setup",
    "preadv",
    "no_such_call",
];

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::KillProcess),
        Just(Action::KillThread),
        (0..3_u16).prop_map(Action::Trap),
        (0..40_u16).prop_map(Action::Errno),
        Just(Action::Notify),
        (0..3_u16).prop_map(Action::Trace),
        Just(Action::Log),
        Just(Action::Allow),
        Just(Action::Allow),
    ]
}

/// Values around the places where comparisons go wrong.
fn value() -> impl Strategy<Value = u64> {
    let special = vec![
        0,
        1,
        2,
        5,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        0x1_0000_0001,
        0x1_0000_0005,
        0xffff_ffff_0000_0000,
        0xffff_ffff_0000_0005,
        u64::MAX,
    ];
    prop_oneof![4 => select(special), 1 => any::<u64>()]
}

fn comparator() -> impl Strategy<Value = Comparator> {
    let parts =
        (prop_oneof![3 => 0..2_u32, 1 => 0..6_u32], select(&Operator::ALL[..]), value(), value());
    parts.prop_map(|(index, op, value, value_two)| Comparator { index, op, value, value_two })
}

fn rule() -> impl Strategy<Value = Rule> {
    let names = prop_oneof![
        3 => subsequence(&NAMES[..], 1..6),
        1 => subsequence(&NAMES[..], 1..NAMES.len()),
    ];
    let args = prop_oneof![1 => Just(vec![]), 2 => prop::collection::vec(comparator(), 0..4)];
    (names, action(), args).prop_map(|(names, action, args)| {
        args.into_iter().fold(Rule::new(names, action), Rule::when)
    })
}

pub fn profile() -> impl Strategy<Value = Profile> {
    let architectures = subsequence(&SUPPORTED[..], 1..=SUPPORTED.len()).prop_shuffle();
    let rules = prop::collection::vec(rule(), 0..12);
    (action(), architectures, rules, any::<bool>()).prop_map(
        |(default, architectures, rules, newer)| {
            let mut profile = Profile::new(default);
            profile.architectures = architectures;
            profile.rules = rules;
            profile.newer_is_enosys = newer;
            profile
        },
    )
}

fn number(arch: Arch) -> impl Strategy<Value = u32> {
    let named: Vec<u32> = NAMES.iter().filter_map(|name| arch.syscall(name)).collect();
    let near = select(named.clone()).prop_flat_map(|number| number.saturating_sub(1)..=number + 1);
    let multiplexers = select(vec![102, 117]);
    let edges = select(vec![0, 600, X32_BIT - 1, X32_BIT, X32_BIT + 600, u32::MAX - 1, u32::MAX]);
    prop_oneof![4 => select(named), 2 => near, 1 => multiplexers, 2 => edges, 1 => any::<u32>()]
}

pub fn data() -> impl Strategy<Value = Data> {
    let args = prop::array::uniform6(prop_oneof![3 => value(), 1 => 0..25_u64]);
    let foreign = prop_oneof![20 => Just(None), 1 => any::<u32>().prop_map(Some)];
    (select(&SUPPORTED[..]), args, foreign).prop_flat_map(|(arch, args, foreign)| {
        let token = foreign.unwrap_or_else(|| token(arch));
        number(arch).prop_map(move |number| Data { token, number, args })
    })
}
