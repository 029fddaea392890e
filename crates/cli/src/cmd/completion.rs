//! `coracle completion`.

use std::process::ExitCode;

use super::print;
use crate::complete::Shell;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;

/// Prints the script for a shell, or answers what the script asks.
pub fn completion(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let name = invocation.argument(0)?.unwrap_or_default();
    let shell = Shell::named(name)
        .ok_or_else(|| Failure::new(format!("unknown shell {name:?}: give bash, zsh or fish")))?;
    match &invocation.positional[1..] {
        [] => print(shell.script())?,
        words => print(&shell.answer(words.to_vec()))?,
    }
    Ok(ExitCode::SUCCESS)
}
