//! `cargo xtask check`: everything about the sources that a program can check.

use std::process::{self, ExitCode};

use anyhow::bail;

use crate::{Command, host, setup, workspace};

pub const COMMAND: Command = Command {
    name: "check",
    about: "Checks formatting, lints, documentation and the project's rules.",
    help: "
usage: cargo xtask check

Warnings are failures. The tests are another command. The dependencies are checked by `cargo deny`,
where that is installed.
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

/// Without the advisories, whose database comes from the internet.
const DENY: &[&str] = &["deny", "--all-features", "check", "bans", "licenses", "sources"];

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
    crate::undefended::check()?;
    dependencies()?;
    Ok(ExitCode::SUCCESS)
}

/// Checks licences, bans and sources of the dependencies, by a program that not everybody has.
fn dependencies() -> anyhow::Result<()> {
    let mut version = process::Command::new("cargo");
    if host::output(version.args(["deny", "--version"])).is_ok() {
        return cargo(DENY);
    }
    eprintln!(
        "\nxtask: NOT CHECKED: the licences and sources of the dependencies. It takes\n\n    \
         cargo install cargo-deny --locked\n"
    );
    Ok(())
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
