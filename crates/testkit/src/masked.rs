//! Running programs as on a kernel that lacks a system call.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use coracle_seccomp::{Action, Arch, FilterFlags, Profile, Rule, compile};
use rustix::io::Errno;

use crate::Result;

/// The name under which this program is started to run another one without the call that follows it.
pub(crate) const NAME: &str = "coracle-tests-without";

/// The system call that all programs of the tests shall do without.
pub(crate) fn call_of_all() -> Option<String> {
    env::var("CORACLE_TEST_WITHOUT").ok().filter(|call| !call.is_empty())
}

/// The command `words`, for which `call` fails with `ENOSYS`, as it will for all that it starts.
pub(crate) fn command(call: &str, words: &[OsString]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(format!("{NAME}@{call}")).args(words);
    command
}

/// Becomes the program that the arguments name. Needs root: no_new_privs would keep others from newuidmap(1).
pub(crate) fn run(call: &str) -> Result<ExitCode> {
    let enosys = u16::try_from(Errno::NOSYS.raw_os_error())?;
    let mut profile = Profile::new(Action::Allow);
    if profile.architectures == [Arch::X86_64] {
        profile.architectures.extend([Arch::X86, Arch::X32]);
    }
    profile.rules = vec![Rule::new([call], Action::Errno(enosys))];
    if !profile.architectures.iter().any(|arch| arch.syscall(call).is_some()) {
        bail!("there is no system call {call:?}");
    }
    compile(&profile)?.load(FilterFlags::empty())?;
    let words: Vec<_> = env::args_os().skip(1).collect();
    let (program, args) = words.split_first().context("no program")?;
    Err(Command::new(program).args(args).exec()).with_context(|| format!("cannot run {program:?}"))
}
