//! `coracle state`.

use std::process::ExitCode;

use super::print;
use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Prints the state of a container.
pub fn state(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let state = invocation.store()?.container(&invocation.id()?)?.state()?;
    print(&format!("{}\n", serde_json::to_string_pretty(&state)?))?;
    Ok(ExitCode::SUCCESS)
}
