//! What the tests share: a machine for programs, and a slow but plain judge of profiles.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "clippy knows tests, but not what they share"
)]

pub mod arbitrary;
pub mod json;
pub mod verifier;

use coracle_seccomp::{Action, Arch, Comparator, Operator, Profile, Rule, SockFilter};

/// Set in the numbers of x32.
pub const X32_BIT: u32 = 0x4000_0000;

/// The architectures with tables.
pub const SUPPORTED: [Arch; 5] = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];

/// struct seccomp_data, less the instruction pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    pub token: u32,
    pub number: u32,
    pub args: [u64; 6],
}

impl Data {
    pub fn new(arch: Arch, number: u32, args: [u64; 6]) -> Self {
        Self { token: token(arch), number, args }
    }

    /// The data of a call by name.
    pub fn call(arch: Arch, name: &str, args: [u64; 6]) -> Self {
        Self::new(arch, arch.syscall(name).unwrap(), args)
    }

    fn word(&self, offset: u32) -> u32 {
        let arg = |index: u32| self.args[usize::try_from(index).unwrap()];
        match offset {
            0 => self.number,
            4 => self.token,
            16..64 if offset.is_multiple_of(8) => arg((offset - 16) / 8) as u32,
            16..64 if offset % 8 == 4 => (arg((offset - 16) / 8) >> 32) as u32,
            _ => panic!("load from {offset}"),
        }
    }
}

/// `AUDIT_ARCH_*`
pub fn token(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 | Arch::X32 => 0xc000_003e,
        Arch::X86 => 0x4000_0003,
        Arch::Aarch64 => 0xc000_00b7,
        Arch::Arm => 0x4000_0028,
        other => panic!("no token of {other}"),
    }
}

/// Runs a program as the kernel would; returns the verdict and the number of steps.
pub fn run(program: &[SockFilter], data: &Data) -> (u32, usize) {
    let mut accumulator = 0;
    let mut at = 0;
    for steps in 1.. {
        let SockFilter { code, jt, jf, k } = program[at];
        at += 1;
        let holds = match code {
            0x20 => {
                accumulator = data.word(k);
                continue;
            }
            0x54 => {
                accumulator &= k;
                continue;
            }
            0x05 => {
                at += usize::try_from(k).unwrap();
                continue;
            }
            0x06 => return (k, steps),
            0x15 => accumulator == k,
            0x25 => accumulator > k,
            0x35 => accumulator >= k,
            0x45 => accumulator & k != 0,
            _ => panic!("operation {code:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
    unreachable!()
}

/// The verdict that `compile` documents, found by reading the profile from top to bottom.
pub fn judge(profile: &Profile, data: &Data) -> u32 {
    let Some(arch) = convention(profile, data) else { return Action::KillProcess.return_value() };
    let default = profile.default_action.return_value();
    let rules = || profile.rules.iter().filter(|rule| rule.action.return_value() != default);
    let first = rules()
        .find(|rule| applies(profile, rule, arch, data) == Some(Applies::Always))
        .or_else(|| rules().find(|rule| applies(profile, rule, arch, data) == Some(Applies::Here)));
    match first {
        Some(rule) => rule.action.return_value(),
        None if is_newer(profile, arch, data.number) => Action::Errno(38).return_value(),
        None => default,
    }
}

/// By which of the profile's architectures the call is made.
fn convention(profile: &Profile, data: &Data) -> Option<Arch> {
    let mut listed = profile.architectures.iter().copied();
    let x32 = profile.architectures.contains(&Arch::X32);
    let wanted = match data.token {
        0xc000_003e if data.number == u32::MAX && !x32 => Arch::X86_64,
        0xc000_003e if data.number & X32_BIT != 0 || data.number > X32_BIT => Arch::X32,
        _ => return listed.find(|arch| token(*arch) == data.token && *arch != Arch::X32),
    };
    listed.find(|arch| *arch == wanted)
}

#[derive(PartialEq)]
enum Applies {
    /// Whatever the arguments are.
    Always,
    /// With these arguments.
    Here,
}

fn applies(profile: &Profile, rule: &Rule, arch: Arch, data: &Data) -> Option<Applies> {
    let mut found = None;
    for name in &rule.names {
        if arch.syscall(name) == Some(data.number) {
            if rule.args.is_empty() {
                return Some(Applies::Always);
            }
            if matches(&rule.args, arch, &data.args) {
                found = Some(Applies::Here);
            }
        }
        if let Some((number, selector)) = multiplexed(arch, name)
            && number == data.number
            && u64::from(data.args[0] as u32) == selector
            && (rule.args.is_empty() || rank(rule.action) <= rank(profile.default_action))
        {
            found = Some(Applies::Here);
        }
    }
    found
}

fn matches(args: &[Comparator], arch: Arch, actual: &[u64; 6]) -> bool {
    let holds = |arg: &Comparator| {
        let cut = |value: u64| match arch {
            Arch::X86_64 | Arch::Aarch64 => value,
            _ => value & 0xffff_ffff,
        };
        let left = cut(actual[usize::try_from(arg.index).unwrap()]);
        let right = cut(arg.value);
        match arg.op {
            Operator::NotEqual => left != right,
            Operator::Less => left < right,
            Operator::LessOrEqual => left <= right,
            Operator::Equal => left == right,
            Operator::GreaterOrEqual => left >= right,
            Operator::Greater => left > right,
            Operator::MaskedEqual => left & right == cut(arg.value_two) & right,
        }
    };
    let mut indices: Vec<u32> = args.iter().map(|arg| arg.index).collect();
    indices.sort_unstable();
    indices.dedup();
    if indices.len() < args.len() { args.iter().any(holds) } else { args.iter().all(holds) }
}

fn is_newer(profile: &Profile, arch: Arch, number: u32) -> bool {
    let common = match arch {
        Arch::Arm => 0..=0xe_ffff,
        Arch::X86_64 => 0..=X32_BIT - 1,
        _ => 0..=u32::MAX,
    };
    let names = profile.rules.iter().flat_map(|rule| &rule.names);
    let known = names
        .flat_map(|name| [arch.syscall(name), multiplexed(arch, name).map(|(number, _)| number)])
        .flatten()
        .filter(|known| common.contains(known));
    let refuses = rank(profile.default_action) <= rank(Action::Errno(0));
    profile.newer_is_enosys
        && refuses
        && common.contains(&number)
        && known.max().is_some_and(|newest| number > newest)
}

/// How much an action permits.
pub fn rank(action: Action) -> u8 {
    match action {
        Action::KillProcess => 0,
        Action::KillThread => 1,
        Action::Trap(_) => 2,
        Action::Errno(_) => 3,
        Action::Notify => 4,
        Action::Trace(_) => 5,
        Action::Log => 6,
        Action::Allow => 7,
    }
}

/// The multiplexer and the selector of a call of 32-bit x86; man pages socketcall(2) and ipc(2).
pub fn multiplexed(arch: Arch, name: &str) -> Option<(u32, u64)> {
    const SOCKETCALL: &str = "socket bind connect listen accept getsockname getpeername socketpair \
        send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
    const IPC: [(&str, u64); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    if arch != Arch::X86 {
        return None;
    }
    let socket = SOCKETCALL.split_whitespace().zip(1..).find(|(known, _)| *known == name);
    let socket = socket.map(|(_, selector)| (102, selector));
    socket
        .or_else(|| IPC.iter().find(|(known, _)| *known == name).map(|(_, number)| (117, *number)))
}
