//! `coracle kill`.

use std::process::ExitCode;

use coracle::{Error, Signal};

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Sends a signal to a container, or to several.
pub fn kill(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let signal: Signal = invocation.argument(1)?.unwrap_or("TERM").parse()?;
    let store = invocation.store()?;
    invocation.for_each_id(&store, |id| match store.container(id)?.kill(signal) {
        Err(Error::NotRunning) if invocation.flags.is_set("all") => Ok(()),
        killed => Ok(killed?),
    })?;
    Ok(ExitCode::SUCCESS)
}
