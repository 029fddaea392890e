//! `coracle pause` and `coracle resume`.

use std::process::ExitCode;

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Stops all processes of a container.
pub fn pause(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    invocation.store()?.container(&invocation.id()?)?.pause()?;
    Ok(ExitCode::SUCCESS)
}

/// Lets them run again.
pub fn resume(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    invocation.store()?.container(&invocation.id()?)?.resume()?;
    Ok(ExitCode::SUCCESS)
}
