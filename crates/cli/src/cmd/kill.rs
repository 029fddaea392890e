//! `coracle kill`.

use std::process::ExitCode;

use coracle::{Error, Signal};

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Sends a signal to a container.
pub fn kill(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let signal: Signal = invocation.argument(1)?.unwrap_or("TERM").parse()?;
    let container = invocation.store()?.container(&invocation.id()?)?;
    match container.kill(signal) {
        Err(Error::NotRunning) if invocation.flags.is_set("all") => {}
        killed => killed?,
    }
    Ok(ExitCode::SUCCESS)
}
