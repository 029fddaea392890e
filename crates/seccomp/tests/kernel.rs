//! Filters in the kernel: each test runs this program again and puts that process under a filter.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not what they share"
)]

mod common;

use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::mpsc;
use std::{env, fs, thread};

use common::verifier;
use coracle_seccomp::{
    Action, Arch, BpfProgram, Comparator, Error, FilterFlags, Operator, Profile, Rule,
    action_available, compile, supported_flags,
};
use coracle_sys::Errno;
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::thread::CapabilitySet;

/// Names the part that this process plays.
const PART: &str = "CORACLE_SECCOMP_PART";
/// What the process exits with if the kernel refuses the program in its arguments.
const REFUSED: u8 = 77;
const SIGSYS: i32 = 31;

/// A part by its name, and the signal that shall end it.
type Part = (&'static str, fn(), Option<i32>);

const PARTS: [Part; 12] = [
    ("returns_the_errno", returns_the_errno, None),
    ("compares_64_bits", compares_64_bits, None),
    ("says_that_newer_calls_do_not_exist", says_that_newer_calls_do_not_exist, None),
    ("kills_the_process", kills_the_process, Some(SIGSYS)),
    ("kills_the_thread", kills_the_thread, None),
    ("traps", traps, Some(SIGSYS)),
    ("traces_without_a_tracer", traces_without_a_tracer, None),
    ("returns_a_listener", returns_a_listener, None),
    ("serves_a_listener", serves_a_listener, None),
    ("takes_other_threads_along", takes_other_threads_along, None),
    ("travels_as_bytes", travels_as_bytes, None),
    ("needs_privilege", needs_privilege, None),
];

fn main() -> ExitCode {
    if let Ok(part) = env::var(PART) {
        return play(&part);
    }
    let parts = PARTS.map(|(name, _, signal)| Trial::test(name, move || run(name, signal)));
    let others = [
        Trial::test("knows_the_kernel", knows_the_kernel),
        Trial::test("verifies_as_the_kernel_does", verifies_as_the_kernel_does),
    ];
    libtest_mimic::run(&Arguments::from_args(), parts.into_iter().chain(others).collect())
        .exit_code()
}

fn run(part: &str, signal: Option<i32>) -> Result<(), Failed> {
    let status = again(part, "");
    let is_expected = match signal {
        None => status.success(),
        Some(signal) => status.signal() == Some(signal),
    };
    if is_expected { Ok(()) } else { Err(format!("{part}: {status}").into()) }
}

fn again(part: &str, argument: &str) -> ExitStatus {
    let myself = env::current_exe().unwrap();
    Command::new(myself).arg(argument).env(PART, part).status().unwrap()
}

fn play(part: &str) -> ExitCode {
    if part == "loads" {
        return loads(&env::args().nth(1).unwrap());
    }
    let (_, body, _) = PARTS.into_iter().find(|(name, ..)| *name == part).unwrap();
    body();
    ExitCode::SUCCESS
}

/// Allows everything but getpriority.
fn profile(action: Action) -> Profile {
    let mut profile = Profile::new(Action::Allow);
    profile.rules = vec![Rule::new(["getpriority"], action)];
    profile
}

fn load(profile: &Profile) {
    rustix::thread::set_no_new_privs(true).unwrap();
    assert!(compile(profile).unwrap().load(FilterFlags::empty()).unwrap().is_none());
}

fn getpriority() -> Result<(), Errno> {
    rustix::process::getpriority_process(None).map(|_| ())
}

fn returns_the_errno() {
    load(&profile(Action::Errno(42)));
    assert_eq!(getpriority(), Err(Errno::from_raw_os_error(42)));
    assert!(fs::metadata("/").is_ok());
}

fn compares_64_bits() {
    let file = fs::File::open("/proc/self/exe").unwrap();
    let limit = 0x2_0000_0005;
    let comparator = Comparator::new(1, Operator::Greater, limit);
    let mut profile = Profile::new(Action::Allow);
    profile.rules = vec![Rule::new(["lseek", "_llseek"], Action::Errno(75)).when(comparator)];
    load(&profile);
    let seek = |offset| rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(offset));
    assert_eq!(seek(limit), Ok(limit));
    assert_eq!(seek(0x1_0000_0006), Ok(0x1_0000_0006));
    for offset in [limit + 1, 0x3_0000_0000] {
        assert_eq!(seek(offset), Err(Errno::OVERFLOW));
    }
}

fn says_that_newer_calls_do_not_exist() {
    let mut profile = Profile::new(Action::Errno(1));
    let names = ["exit_group", "write", "munmap", "sigaltstack", "getpid", "io_uring_register"];
    profile.rules = vec![Rule::new(names, Action::Allow)];
    load(&profile);
    let flags = rustix::process::PidfdFlags::empty();
    let newer = rustix::process::pidfd_open(rustix::process::getpid(), flags);
    assert_eq!(newer.unwrap_err(), Errno::NOSYS);
    assert_eq!(getpriority(), Err(Errno::PERM));
}

fn kills_the_process() {
    load(&profile(Action::KillProcess));
    thread::spawn(getpriority).join().unwrap().unwrap();
}

fn kills_the_thread() {
    load(&profile(Action::KillThread));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        sender.send("before").unwrap();
        getpriority().unwrap();
        sender.send("after").unwrap();
    });
    assert_eq!(receiver.recv(), Ok("before"));
    // The thread is gone without a trace, so its end of the channel stays open.
    let timeout = std::time::Duration::from_millis(200);
    assert_eq!(receiver.recv_timeout(timeout), Err(mpsc::RecvTimeoutError::Timeout));
}

fn traps() {
    load(&profile(Action::Trap(0)));
    getpriority().unwrap();
}

fn traces_without_a_tracer() {
    load(&profile(Action::Trace(1)));
    assert_eq!(getpriority(), Err(Errno::NOSYS));
}

fn returns_a_listener() {
    rustix::thread::set_no_new_privs(true).unwrap();
    let program = compile(&profile(Action::Notify)).unwrap();
    assert!(program.notifies());
    let flags = FilterFlags::TSYNC | (supported_flags() & FilterFlags::WAIT_KILLABLE_RECV);
    let listener = program.load(flags).unwrap().unwrap();
    let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_fd().as_raw_fd()));
    assert_eq!(link.unwrap().to_str(), Some("anon_inode:seccomp notify"));
    let flags = rustix::io::fcntl_getfd(&listener).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

/// The thread that loads the filter is the only one under it.
fn serves_a_listener() {
    let names = ["getpriority", "setpriority", "dup"];
    let mut profile = Profile::new(Action::Allow);
    profile.rules = vec![Rule::new(names, Action::Notify)];
    let (sender, receiver) = mpsc::channel();
    let caller = thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        let program = compile(&profile).unwrap();
        sender.send(program.load(FilterFlags::empty()).unwrap().unwrap()).unwrap();
        let denied = getpriority();
        let allowed = getpriority();
        let set = rustix::process::setpriority_process(None, 3);
        (denied, allowed, set, rustix::io::dup(std::io::stderr()).map(IntoRawFd::into_raw_fd))
    });
    let listener = receiver.recv().unwrap();
    let next = || listener.receive().unwrap().unwrap();
    let call = next();
    assert_eq!((call.arch(), call.name()), (Arch::native(), Some("getpriority")));
    let status = fs::read_to_string(format!("/proc/{}/status", call.pid())).unwrap();
    assert!(status.contains("Seccomp:\t2"), "{status}");
    assert!(listener.is_waiting(&call).unwrap());
    listener.deny(&call, Errno::XFULL).unwrap();
    assert!(!listener.is_waiting(&call).unwrap());
    listener.allow(&next()).unwrap();
    let call = next();
    assert_eq!((call.name(), call.args()[2]), (Some("setpriority"), 3));
    listener.respond(&call, 0).unwrap();
    let call = next();
    let file = fs::File::open("/").unwrap();
    let number = listener.add_fd(&call, &file, true).unwrap();
    listener.respond(&call, number.into()).unwrap();
    let expected = (Err(Errno::XFULL), Ok(()), Ok(()), Ok(number));
    assert_eq!(caller.join().unwrap(), expected);
    assert!(listener.receive().unwrap().is_none());
}

fn takes_other_threads_along() {
    let (ready, started) = mpsc::channel();
    let (sender, loaded) = mpsc::channel();
    let other = thread::spawn(move || {
        ready.send(getpriority()).unwrap();
        loaded.recv().unwrap();
        getpriority()
    });
    assert_eq!(started.recv(), Ok(Ok(())));
    rustix::thread::set_no_new_privs(true).unwrap();
    let program = compile(&profile(Action::Errno(42))).unwrap();
    // Without listeners this flag would be refused, so it is left out.
    let flags = FilterFlags::TSYNC | FilterFlags::LOG | FilterFlags::SPEC_ALLOW;
    assert!(program.load(flags | FilterFlags::WAIT_KILLABLE_RECV).unwrap().is_none());
    sender.send(()).unwrap();
    assert_eq!(other.join().unwrap(), Err(Errno::from_raw_os_error(42)));
}

fn travels_as_bytes() {
    let program = compile(&profile(Action::Errno(42))).unwrap();
    let bytes = program.as_bytes().to_vec();
    let arrived = BpfProgram::from_bytes(&bytes).unwrap();
    rustix::thread::set_no_new_privs(true).unwrap();
    arrived.load(FilterFlags::empty()).unwrap();
    assert_eq!(getpriority(), Err(Errno::from_raw_os_error(42)));
}

fn needs_privilege() {
    let mut sets = rustix::thread::capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::SYS_ADMIN);
    rustix::thread::set_capabilities(None, sets).unwrap();
    let program = compile(&profile(Action::Errno(42))).unwrap();
    let error = program.load(FilterFlags::empty()).unwrap_err();
    let Error::Load(cause) = &error else { panic!("{error}") };
    assert_eq!(cause.errno(), Errno::ACCESS);
    let expected = "cannot load the seccomp filter; \
                    set no_new_privs first, or keep CAP_SYS_ADMIN until then";
    assert_eq!(error.to_string(), expected);
}

fn knows_the_kernel() -> Result<(), Failed> {
    for name in Action::OCI_NAMES {
        let action = Action::from_oci(name, None)?;
        assert!(action_available(action.return_value()), "{name}");
    }
    assert!(supported_flags().contains(FilterFlags::TSYNC | FilterFlags::LOG));
    Ok(())
}

fn verifies_as_the_kernel_does() -> Result<(), Failed> {
    for (name, bytes) in verifier::programs() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let ours = BpfProgram::from_bytes(&bytes);
        let refused = again("loads", &hex).code() == Some(REFUSED.into());
        if ours.is_ok() == refused {
            return Err(format!("{name}: {ours:?}, but the kernel refuses: {refused}").into());
        }
    }
    Ok(())
}

/// Loads what the argument says, whatever comes of it.
fn loads(hex: &str) -> ExitCode {
    rustix::thread::set_no_new_privs(true).unwrap();
    let (bytes, _) = hex.as_bytes().as_chunks::<2>();
    let digits = bytes.iter().map(|byte| std::str::from_utf8(byte).unwrap());
    let bytes: Vec<u8> = digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
    let program = verifier::decode(&bytes);
    match coracle_sys::seccomp::load(&program, FilterFlags::empty()) {
        Err(error) if error.errno() == Errno::INVAL => ExitCode::from(REFUSED),
        _ => ExitCode::SUCCESS,
    }
}
