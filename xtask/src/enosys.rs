//! `cargo xtask enosys`: containers where a system call is missing.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{self, ExitCode};

use anyhow::{Context, bail};
use lexopt::{Arg, ValueExt};

use crate::{Command, build, packages, setup, test, workspace};

pub const COMMAND: Command = Command {
    name: "enosys",
    about: "Runs the suite as on kernels that lack a system call.",
    help: "
usage: cargo xtask enosys [--call NAME]... [-- ARGUMENTS]

A seccomp filter makes a call fail with ENOSYS for everything that the suite runs. Where a container
works all the same, because something else does in place of the call, the tests run and must pass.
Where it does not, the error must say which kernel has the call. Needs root.

  --call NAME  only without this one; repeatable
  ARGUMENTS    for the suite, as `mounts::` or `--skip real_roots`
",
    run,
};

const CALLS: [&str; 7] =
    ["openat2", "mount_setattr", "clone3", "fsopen", "pidfd_open", "close_range", "open_tree"];

/// The test that tells whether a container works.
const PROBE: &str = "lifecycle::create::goes_from_created_to_running_to_stopped";

/// They count seccomp filters, and here is one more.
const COUNTING: [&str; 2] = ["has_no_filter_without_a_profile", "loads_one_filter"];

/// What our errors say.
const EXPLANATION: &str = "needs Linux";

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let (mut calls, mut more) = (Vec::new(), Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("call") => calls.push(args.value()?.string()?),
            Arg::Value(first) => {
                more.push(first);
                more.extend(args.raw_args()?);
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    if calls.is_empty() {
        calls.extend(CALLS.map(str::to_owned));
    }
    let masked = Masked::build()?;
    let outcomes: Vec<_> = calls
        .iter()
        .map(|call| Ok((call, masked.outcome(call, &more)?)))
        .collect::<anyhow::Result<_>>()?;
    println!();
    let width = calls.iter().map(String::len).max().unwrap_or(0);
    for (call, outcome) in &outcomes {
        println!("{call:width$}  {}", outcome.summary());
    }
    let good = outcomes.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Fails));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What becomes of containers without a call.
enum Outcome {
    /// They work; the result of the tests.
    Works(String),
    /// They do not, and the error says why.
    Explains(String),
    /// Neither.
    Fails,
}

impl Outcome {
    fn summary(&self) -> String {
        match self {
            Self::Works(result) => format!("works: {result}"),
            Self::Explains(error) => format!("explains: {error}"),
            Self::Fails => "FAILS, see above".to_owned(),
        }
    }
}

/// The suite and the command that it drives.
struct Masked {
    coracle: PathBuf,
    suite: PathBuf,
}

impl Masked {
    fn build() -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("only root can load a seccomp filter and keep the right to gain privileges");
        }
        setup::add_rust_target()?;
        packages::ensure(packages::TESTS)?;
        let coracle = build::coracle()?;
        let suite = test::suite()?.into_iter().next().context("the suite was not built")?;
        Ok(Self { coracle, suite })
    }

    fn outcome(&self, call: &str, more: &[OsString]) -> anyhow::Result<Outcome> {
        eprintln!("xtask: without {call}");
        let probe = self.tests(call, ["--exact", PROBE].iter().map(OsStr::new))?;
        if let Some(line) = probe.as_ref().err().and_then(|failures| explanation(failures)) {
            return Ok(Outcome::Explains(line));
        }
        let skips = COUNTING.iter().flat_map(|name| ["--skip", name]).map(OsStr::new);
        let all = skips.chain(more.iter().map(OsString::as_os_str));
        let tests = if probe.is_ok() { self.tests(call, all)? } else { probe };
        Ok(match tests {
            Ok(result) => Outcome::Works(result),
            Err(failures) => {
                println!("{failures}");
                Outcome::Fails
            }
        })
    }

    /// The line with the result if all pass, else what failed.
    fn tests<'arg>(
        &self,
        call: &str,
        args: impl Iterator<Item = &'arg OsStr>,
    ) -> anyhow::Result<Result<String, String>> {
        let output = process::Command::new(&self.suite)
            .args(args)
            .env("CORACLE_BIN", &self.coracle)
            .env("CORACLE_TEST_WITHOUT", call)
            .current_dir(workspace::root())
            .output()
            .context("cannot run the suite")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (_, failures) = text.split_once("\nfailures:\n").unwrap_or(("", &text));
        Ok(match output.status.success() {
            true => Ok(text.lines().last().unwrap_or_default().to_owned()),
            false => Err(failures.to_owned()),
        })
    }
}

/// The first line that says what is needed.
fn explanation(output: &str) -> Option<String> {
    output.lines().find(|line| line.contains(EXPLANATION)).map(str::to_owned)
}
