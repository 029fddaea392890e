//! Waiting for the start, and the execution of the command.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use coracle_lsm::landlock::Sandbox;
use coracle_process::Program;
use coracle_sys::signal;
use rustix::io::{Errno, read, write};

use super::Setup;
use super::confine::Filter;
use super::descriptors::Kept;
use crate::InitError;
use crate::error::Step;
use crate::wire::{EXECUTING, ToHost};

/// A process with nothing more to give up, but for what the sandbox and the filter take.
pub(super) struct Confined {
    program: Program,
    sandbox: Option<Sandbox>,
    filter: Option<Filter>,
    kept: Kept,
}

impl Confined {
    pub(super) fn new(
        program: Program,
        (sandbox, filter): (Option<Sandbox>, Option<Filter>),
        kept: Kept,
    ) -> Self {
        Self { program, sandbox, filter, kept }
    }

    /// Reports that all is ready, waits for the start and executes the command; returns only a failure.
    pub(super) fn start(mut self, setup: &mut Setup<'_>) -> Result<(), InitError> {
        if let Some(filter) = self.filter.take_if(|filter| filter.notifies()) {
            setup.load(&filter)?;
        }
        setup.tell(&ToHost::Ready, None).step("reporting readiness")?;
        // A host that has gone before this process was recorded leaves nobody who would start it.
        if !setup.is_told_to_go().step("waiting for the start")? {
            return Ok(());
        }
        if let Some((start, _)) = &self.kept.gate {
            // Whoever comes to start it knows nothing of the socket.
            setup.channel = None;
            wait_at(start)?;
        }
        let failed = match setup.run_start_hooks().and_then(|()| self.execute(setup)) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        // Who started the container reads the reason where it started it.
        if let Some((_, result)) = &self.kept.gate {
            write(result, failed.to_string().as_bytes()).map(drop).unwrap_or_default();
        }
        Err(failed)
    }

    fn execute(&self, setup: &Setup<'_>) -> Result<Infallible, InitError> {
        if let Some((_, result)) = &self.kept.gate {
            write(result, &[EXECUTING]).step("reporting the start")?;
        }
        if let Some(sandbox) = &self.sandbox {
            // Hooks were none of its business, and the descriptor is in the way of those that are preserved.
            sandbox.enter().step("entering the sandbox of Landlock")?;
        }
        self.kept.place_preserved()?;
        signal::reset_all().step("resetting signals")?;
        if let Some(filter) = &self.filter {
            setup.load(filter)?;
        }
        let step = match self.sandbox {
            Some(_) => "executing the command (does org.coracle.landlock.fs.execute allow it?)",
            None => "executing the command",
        };
        Err(InitError::new(step, &self.program.exec()))
    }
}

/// Sleeps until somebody writes to the FIFO.
///
/// There is no deadline: a created container waits for its start as long as it takes, or until it is asked
/// to end.
fn wait_at(start: &OwnedFd) -> Result<(), InitError> {
    let step = "waiting for the start";
    signal::exit_when_asked().step(step)?;
    loop {
        match read(start, &mut [0]) {
            Err(Errno::INTR) => {}
            woken => return woken.map(drop).step(step),
        }
    }
}
