//! `coracle start`.

use std::process::ExitCode;

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Executes the command of a created container.
pub fn start(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    invocation.store()?.container(&invocation.id()?)?.start()?;
    Ok(ExitCode::SUCCESS)
}
