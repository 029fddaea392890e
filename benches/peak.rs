//! `peak COMMAND [ARGUMENTS]`: runs a command and prints the most memory that was resident at once, in
//! KiB, in it or in a process that it waited for.
//!
//! The kernel counts what the caller had resident when it spawned the command, too: measure with the small
//! static build of this program.

#![forbid(unsafe_code)]

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().context("usage: peak COMMAND [ARGUMENTS]")?;
    let mut command = Command::new(&program);
    let status = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(status.success(), "{} failed with {status}", program.display());
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}
