//! `coracle run`.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;

use coracle::{BlockedSignals, DeniedCalls, Error, ExitStatus, Orphans, Running, Signal};

use super::create::{builder, note, warn_of};
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::{Invocation, Values};

/// Creates and starts a container; in the foreground, waits for its end and deletes it.
pub fn run(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let flags = &invocation.flags;
    let detach = flags.is_set("detach");
    let builder = builder(invocation)?.detached(detach);
    let store = invocation.store()?;
    let recording = Recording::of(flags)?;
    if detach {
        if recording.is_some() {
            return Err(Failure::new("--seccomp-record is for the foreground: leave --detach out"));
        }
        let mut running = builder.run(&store).inspect_err(|error| warn_of(error, log))?;
        note(running.warnings(), running.seccomp_filter(), log);
        if let Some(notify) = running.take_notify_proxy() {
            notify.forward(running.pid(), running.pidfd())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let builder = match &recording {
        Some(recording) => builder.record_denied(recording.calls.clone()),
        None => builder,
    };
    // Before there is a container, so that no signal for it is lost.
    let signals = BlockedSignals::all()?;
    let orphans = if flags.is_set("no-subreaper") { Orphans::Leave } else { Orphans::adopt()? };
    let running = builder.sized_as(std::io::stdin())?.run(&store);
    let mut running = running.inspect_err(|error| warn_of(error, log))?;
    note(running.warnings(), running.seccomp_filter(), log);
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
    if let Some(recording) = recording {
        recording.write(log)?;
    }
    Ok(ExitCode::from(ended?.code()))
}

/// A file for what the seccomp filter would have denied.
struct Recording {
    file: File,
    calls: DeniedCalls,
}

impl Recording {
    /// Opens it before anything runs.
    fn of(flags: &Values) -> Result<Option<Self>> {
        let Some(path) = flags.last("seccomp-record") else { return Ok(None) };
        let wrong = |error| Failure::new(format!("cannot write {}: {error}", path.display()));
        let file = File::create(path).map_err(wrong)?;
        Ok(Some(Self { file, calls: DeniedCalls::default() }))
    }

    fn write(mut self, log: &Log) -> Result<()> {
        log.warning("the seccomp filter denied nothing, to record what it would have denied");
        let report = serde_json::to_string_pretty(&self.calls.report()?)?;
        Ok(writeln!(self.file, "{report}")?)
    }
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
