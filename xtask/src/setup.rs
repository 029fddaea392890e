//! `cargo xtask setup`: what the project needs on a fresh machine.

use std::env;
use std::path::Path;
use std::process::{self, ExitCode};

use anyhow::Context;
use lexopt::Arg;

use crate::{Command, host, packages};

pub const COMMAND: Command = Command {
    name: "setup",
    about: "Installs what the project needs on Debian 12 with rustup.",
    help: "
usage: cargo xtask setup [--guest]

Adds the Rust target for static binaries and the Debian packages that the tests and examples call.
Quick when nothing is missing. Packages need root: without it, the commands to run are printed.

  --guest   also the packages that `cargo xtask guest` calls
",
    run,
};

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let mut names = packages::TESTS.to_vec();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("guest") => names.extend(packages::GUEST),
            _ => return Err(arg.unexpected().into()),
        }
    }
    names.sort_unstable();
    names.dedup();
    add_rust_target()?;
    packages::ensure(&names)?;
    Ok(ExitCode::SUCCESS)
}

/// Adds the Rust target for static binaries.
pub fn add_rust_target() -> anyhow::Result<()> {
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let print = ["--print", "target-libdir", "--target", &target];
    let libraries = host::stdout(process::Command::new("rustc").args(print))?;
    if Path::new(libraries.trim()).exists() {
        return Ok(());
    }
    eprintln!("xtask: adding the Rust target {target}");
    host::run(process::Command::new("rustup").args(["target", "add", &target]))
        .with_context(|| format!("without rustup, add the Rust target {target} by other means"))
}
