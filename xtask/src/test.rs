//! `cargo xtask test`: every test, here and in the guest.

use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use anyhow::{Context, bail};
use lexopt::{Arg, ValueExt};

use crate::{Command, build, packages, setup, workspace};

pub const COMMAND: Command = Command {
    name: "test",
    about: "Runs every test, here and in the guest.",
    help: "
usage: cargo xtask test [--no-guest] [--no-host] [--kernel VERSION] [--thorough]

Installs what is needed and builds the command; then runs the tests of the crates and the suite that
drives the command, here and in an emulated machine with cgroup v2, as root and as an ordinary user; that of
labels with AppArmor and with SELinux; and the attacks on it, here. More skipped tests than expected are a
failure.

  --no-guest   only here
  --no-host    only in the guest
  --kernel     the guest's kernel, as for `cargo xtask guest`
  --thorough   here 500 times what may go wrong once in many times, in the guest engines, too, which takes
               most of an hour more
",
    run,
};

/// How many tests of the suite may be skipped here and in the guest, for lack of what they need. A test that
/// is skipped says why.
const MAX_SKIPPED: &str = "CORACLE_TEST_MAX_SKIPPED";
const SKIPPED_HERE: usize = 17;
const SKIPPED_IN_GUEST: usize = 28;

/// The security modules that are tested, each with how many of the tests of labels are about the other.
const MODULES: [(&str, usize); 2] = [("apparmor", 2), ("selinux", 3)];

/// Groups of the suite that run in a guest beside the one for the rest.
const APART: [&str; 3] = ["exec::", "hooks::", "commands::"];

/// They take too long there to be tested each time.
const NOT_ENGINES: [&str; 2] = ["--skip", "engines::"];

/// They need a machine of their own.
const NOT_SYSTEMD: [&str; 2] = ["--skip", "systemd::"];

/// How often the suite does what may go wrong once in many times.
const ROUNDS: &str = "CORACLE_TEST_ROUNDS";

/// The emulated machine is about ten times slower.
const GUEST_SLOWNESS: &str = "CORACLE_TEST_SLOW=10";

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let (mut here, mut guest, mut kernel, mut thorough) = (true, true, None, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("no-guest") => guest = false,
            Arg::Long("no-host") => here = false,
            Arg::Long("thorough") => thorough = true,
            Arg::Long("kernel") => kernel = Some(args.value()?.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    setup::add_rust_target()?;
    packages::ensure(packages::TESTS)?;
    let coracle = build::coracle()?;
    if here {
        run_here(&coracle, thorough)?;
    }
    if guest {
        packages::ensure(packages::GUEST)?;
        run_in_guest(&coracle, kernel.as_deref(), thorough)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_here(coracle: &Path, thorough: bool) -> anyhow::Result<()> {
    let mut crates = process::Command::new("cargo");
    crates.args(["test", "--quiet", "--workspace", "--exclude", "coracle-tests"]);
    crates.args(["--features", "coracle-seccomp/libseccomp"]);
    finish("the tests of the crates", crates.current_dir(workspace::root()))?;
    let suite = suite()?;
    for program in suite {
        let mut command = process::Command::new(&program);
        command.env("CORACLE_BIN", coracle).current_dir(workspace::root());
        command.env(MAX_SKIPPED, SKIPPED_HERE.to_string()).args(NOT_SYSTEMD);
        if thorough {
            command.env(ROUNDS, "500");
        }
        finish("the suite", &mut command)?;
    }
    let mut command = process::Command::new(attacks()?);
    command.env("CORACLE_BIN", coracle).env(MAX_SKIPPED, "0").current_dir(workspace::root());
    finish("the attacks", &mut command)
}

/// The program of the attacks on the command, or on others.
pub fn attacks() -> anyhow::Result<PathBuf> {
    let programs = build::tests(&["--package", "coracle-tests", "--test", "attacks"])?;
    programs.into_iter().next().context("the attacks were not built")
}

/// The programs of the suite that drives the command.
pub fn suite() -> anyhow::Result<Vec<PathBuf>> {
    let programs = build::tests(&["--package", "coracle-tests", "--test", "suite"])?;
    if programs.is_empty() {
        bail!("the suite was not built");
    }
    Ok(programs)
}

/// Runs everything in guests, two at a time: most of what one does it does on one processor.
fn run_in_guest(coracle: &Path, kernel: Option<&str>, thorough: bool) -> anyhow::Result<()> {
    let bin = format!("CORACLE_BIN={}", coracle.display());
    let kernel: Vec<_> = kernel.map(|version| format!("--kernel={version}")).into_iter().collect();
    let kernel: Vec<_> = kernel.iter().map(String::as_str).collect();
    let cgroup = build::tests(&["--package", "coracle-cgroup", "--tests"])?;
    let suite = suite()?;
    let one = || {
        for program in &cgroup {
            let mut tests = guest(&kernel, &[&bin], program)?;
            finish_quietly("the tests of cgroups in the guest", &mut tests)?;
        }
        suite.iter().try_for_each(|program| {
            let mut rest = suite_in_guest(&kernel, &bin, program)?;
            rest.args(NOT_SYSTEMD);
            if !thorough {
                rest.args(NOT_ENGINES);
            }
            for group in APART {
                rest.args(["--skip", group]);
            }
            finish_quietly("most of the suite in the guest", &mut rest)
        })
    };
    let other = || {
        suite.iter().try_for_each(|program| {
            run_with_systemd(&bin, program)?;
            run_as_user(&bin, program)?;
            run_with_modules(&bin, program)?;
            APART.iter().try_for_each(|group| {
                let what = format!("the group {group} of the suite in the guest");
                finish_quietly(&what, suite_in_guest(&kernel, &bin, program)?.arg(group))
            })
        })
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one: anyhow::Result<()> = one();
        let other = other.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
        one.and(other)
    })
}

fn suite_in_guest(kernel: &[&str], bin: &str, program: &Path) -> anyhow::Result<process::Command> {
    let skipped = format!("{MAX_SKIPPED}={SKIPPED_IN_GUEST}");
    guest(kernel, &[bin, &skipped], program)
}

/// The tests that need a service manager: that of the system, on v2 and v1, and that of a user.
fn run_with_systemd(bin: &str, program: &Path) -> anyhow::Result<()> {
    let hybrid = ["--kernel", "6.1", "--cgroups", "hybrid"].as_slice();
    for options in [&[], hybrid, &["--user"]] {
        let options = [&["--init", "systemd"], options].concat();
        let mut tests = guest(&options, &[bin, "CORACLE_TEST_HOST_WIDE=1"], program)?;
        finish_quietly("the tests of systemd in the guest", tests.arg("systemd::"))?;
    }
    Ok(())
}

/// The tests of users without privileges, in a cgroup that was delegated to one.
fn run_as_user(bin: &str, program: &Path) -> anyhow::Result<()> {
    let mut tests = guest(&["--user"], &[bin], program)?;
    finish_quietly("the tests of users in the guest", tests.arg("rootless::").args(NOT_ENGINES))
}

/// The tests of labels, and an attack on who writes them, where there is a module that minds them.
fn run_with_modules(bin: &str, program: &Path) -> anyhow::Result<()> {
    for (module, about_others) in MODULES {
        let skipped = format!("{MAX_SKIPPED}={about_others}");
        let mut tests = guest(&["--lsm", module], &[bin, &skipped], Path::new("sh"))?;
        tests.args(["-c", "\"$0\" labels:: && \"$1\" procfs::labels"]).args([program, &attacks()?]);
        finish_quietly(&format!("the tests of labels in the guest with {module}"), &mut tests)?;
    }
    Ok(())
}

/// The command that boots a guest with these options and runs the program in it.
fn guest(options: &[&str], env: &[&str], program: &Path) -> anyhow::Result<process::Command> {
    let mut command = process::Command::new(std::env::current_exe().context("where xtask is")?);
    command.args(["guest", "--timeout", "2400"]).args(options);
    command.arg("--share").arg(build::target_directory()?);
    for variable in env.iter().chain(&[GUEST_SLOWNESS]) {
        command.args(["--env", variable]);
    }
    command.arg("--").arg(program).current_dir(workspace::root());
    Ok(command)
}

/// Runs a command to its successful end, and shows its output then, in one piece.
fn finish_quietly(what: &str, command: &mut process::Command) -> anyhow::Result<()> {
    eprintln!("xtask: {what}: started");
    let output = command.output().with_context(|| format!("cannot run {what}"))?;
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    eprintln!("xtask: {what}:\n{}{}", said[0], said[1]);
    if !output.status.success() {
        bail!("{what} failed with {}", output.status);
    }
    Ok(())
}

/// Runs a command whose output is for the user, to its successful end.
fn finish(what: &str, command: &mut process::Command) -> anyhow::Result<()> {
    eprintln!("xtask: {what}");
    let status = command.status().with_context(|| format!("cannot run {what}"))?;
    if !status.success() {
        bail!("{what} failed with {status}");
    }
    Ok(())
}
