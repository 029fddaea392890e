//! `coracle run`.

use std::process::ExitCode;

use coracle::{BlockedSignals, Error, Orphans, Running, Signal};

use super::create::builder;
use crate::error::{Failure, Result};
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
    let mut running = builder.sized_as(std::io::stdin())?.run(&store)?;
    warn(&running, log);
    let ended = running.attend(&signals, orphans);
    let container = running.into_container();
    if ended.is_err() {
        // Nobody serves it any more.
        container.kill(Signal::KILL).unwrap_or_default();
    }
    if !flags.is_set("keep") {
        // How the command ended is what the caller wants to know; that somebody else has deleted the
        // container already is no failure at all.
        match container.delete() {
            Ok(warnings) => warnings.iter().for_each(|warning| log.warning(warning)),
            Err(Error::NotFound(_)) => {}
            Err(error) => log.warning(&Failure::from(error).to_string()),
        }
    }
    Ok(ExitCode::from(ended?.code()))
}

fn warn(running: &Running, log: &Log) {
    running.warnings().iter().for_each(|warning| log.warning(warning));
}
