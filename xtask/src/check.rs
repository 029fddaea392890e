//! `cargo xtask check`: everything about the sources that a program can check.

use std::process::{self, ExitCode};

use anyhow::bail;

use crate::{Command, setup, workspace};

pub const COMMAND: Command = Command {
    name: "check",
    about: "Checks formatting, lints, documentation and the project's rules.",
    help: "
usage: cargo xtask check

Warnings are failures. The tests are another command.
",
    run,
};

const CLIPPY: &[&str] = &[
    "clippy",
    "--quiet",
    "--workspace",
    "--all-targets",
    "--features",
    "coracle-seccomp/libseccomp",
    "--",
    "-D",
    "warnings",
];

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    if let Some(arg) = args.next()? {
        return Err(arg.unexpected().into());
    }
    setup::add_rust_target()?;
    crate::packages::ensure(&["libseccomp-dev"])?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(CLIPPY)?;
    cargo(&["doc", "--quiet", "--workspace", "--no-deps"])?;
    for command in [crate::graph::COMMAND, crate::lines::COMMAND] {
        let none: [&str; 0] = [];
        let code = (command.run)(lexopt::Parser::from_args(none))?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cargo(args: &[&str]) -> anyhow::Result<()> {
    eprintln!("xtask: cargo {}", args.join(" "));
    let mut command = process::Command::new("cargo");
    command.args(args).env("RUSTDOCFLAGS", "-D warnings").current_dir(workspace::root());
    let status = command.status()?;
    if !status.success() {
        bail!("cargo {} failed with {status}", args[0]);
    }
    Ok(())
}
