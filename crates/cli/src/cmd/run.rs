//! `coracle run`.

use std::os::fd::AsFd;
use std::process::ExitCode;

use coracle::{BlockedSignals, Error, ExitStatus, Orphans, Running, Signal};

use super::create::{builder, warn_of};
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
        let mut running = builder.run(&store).inspect_err(|error| warn_of(error, log))?;
        warn(&running, log);
        if let Some(notify) = running.take_notify_proxy() {
            notify.forward(running.pid(), running.pidfd())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Before there is a container, so that no signal for it is lost.
    let signals = BlockedSignals::all()?;
    let orphans = if flags.is_set("no-subreaper") { Orphans::Leave } else { Orphans::adopt()? };
    let running = builder.sized_as(std::io::stdin())?.run(&store);
    let mut running = running.inspect_err(|error| warn_of(error, log))?;
    warn(&running, log);
    let ended = attend(&mut running, &signals, orphans, log);
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

/// Stands in for the container until it ends, and passes on that it is ready to who wants to know.
fn attend(
    running: &mut Running,
    signals: &BlockedSignals,
    orphans: Orphans,
    log: &Log,
) -> Result<ExitStatus> {
    let Some(notify) = running.take_notify_proxy() else {
        return Ok(running.attend(signals, orphans)?);
    };
    let (pid, pidfd) = (running.pid(), running.pidfd().as_fd().try_clone_to_owned()?);
    let forwarding = std::thread::spawn(move || notify.forward(pid, &pidfd));
    // It goes on as long as the container, which has not ended if this fails.
    let ended = running.attend(signals, orphans)?;
    if let Ok(Err(error)) = forwarding.join() {
        log.warning(&Failure::from(error).to_string());
    }
    Ok(ended)
}

fn warn(running: &Running, log: &Log) {
    running.warnings().iter().for_each(|warning| log.warning(warning));
}
