//! `coracle run`.

use std::process::ExitCode;

use coracle::{BlockedSignals, Orphans, Running};

use super::create::builder;
use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Creates and starts a container; in the foreground, waits for its end and deletes it.
pub fn run(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let flags = &invocation.flags;
    let detach = flags.is_set("detach");
    let builder = builder(invocation)?.detached(detach);
    let store = invocation.store()?;
    if detach {
        let running = builder.run(&store)?;
        warn(&running, log);
        return Ok(ExitCode::SUCCESS);
    }
    // Before there is a container, so that no signal for it is lost.
    let signals = BlockedSignals::all()?;
    let orphans = if flags.is_set("no-subreaper") { Orphans::Leave } else { Orphans::adopt()? };
    let mut running = builder.run(&store)?;
    warn(&running, log);
    let ended = running.attend(&signals, orphans);
    if !flags.is_set("keep") {
        running.into_container().delete()?;
    }
    Ok(ExitCode::from(ended?.code()))
}

fn warn(running: &Running, log: &Log) {
    running.warnings().iter().for_each(|warning| log.warning(warning));
}
