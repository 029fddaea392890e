//! Waiting for the start, and the execution of the command.

use std::os::fd::OwnedFd;

use coracle_process::Program;
use coracle_sys::{fd, signal};
use rustix::fs::OFlags;
use rustix::io::{fcntl_dupfd_cloexec, write};

use super::Setup;
use super::confine::Filter;
use crate::InitError;
use crate::error::Step;
use crate::plan::StartGate;
use crate::wire::{self, ToHost, ToInit};

/// The first descriptor after the standard streams.
const FIRST_PRESERVED: i32 = 3;

/// A process with nothing more to give up, but for the filter.
pub(super) struct Confined<'launch> {
    setup: Setup<'launch>,
    program: Program,
    filter: Option<Filter>,
}

impl<'launch> Confined<'launch> {
    pub(super) fn new(setup: Setup<'launch>, program: Program, filter: Option<Filter>) -> Self {
        Self { setup, program, filter }
    }

    /// Reports that all is ready, waits for the start and executes the command; returns only a failure.
    pub(super) fn start(mut self) -> Result<(), InitError> {
        wire::send(self.setup.channel, &ToHost::Ready, None).step("reporting readiness")?;
        let fifo = match self.setup.plan.process.gate {
            StartGate::Message => {
                if !told_to_go(&self.setup)? {
                    return Ok(());
                }
                None
            }
            StartGate::Fifo(slot) => Some(self.wait_at(slot)?),
        };
        let failed = match self.execute() {
            Ok(never) => match never {},
            Err(error) => error,
        };
        // Who started the container reads the reason where it started it.
        if let Some(fifo) = fifo {
            write(&fifo, failed.to_string().as_bytes()).map(drop).unwrap_or_default();
        }
        Err(failed)
    }

    /// Sleeps until somebody opens the FIFO for reading; then tells it that this process has woken.
    ///
    /// There is no deadline: a created container waits for its start as long as it takes.
    fn wait_at(&mut self, slot: crate::plan::Slot) -> Result<OwnedFd, InitError> {
        let step = "waiting for the start";
        let handle = self.setup.descriptors.take(slot)?;
        let fifo = self.setup.proc.reopen(&handle, OFlags::WRONLY).step(step)?;
        write(&fifo, b"0").step(step)?;
        Ok(fifo)
    }

    fn execute(&mut self) -> Result<std::convert::Infallible, InitError> {
        self.place_preserved()?;
        signal::reset_all().step("resetting signals")?;
        if let Some(filter) = &self.filter {
            filter.load()?;
        }
        Err(InitError::new("executing the command", &self.program.exec()))
    }

    /// Puts the descriptors to be preserved where the command looks for them.
    fn place_preserved(&mut self) -> Result<(), InitError> {
        let step = "placing preserved descriptors";
        let slots = self.setup.plan.process.preserved.clone();
        let after = i32::try_from(slots.len()).step(step)?.saturating_add(FIRST_PRESERVED);
        let mut above = Vec::new();
        for slot in slots {
            let descriptor = self.setup.descriptors.take(slot)?;
            above.push(fcntl_dupfd_cloexec(&descriptor, after).step(step)?);
        }
        for (descriptor, number) in above.iter().zip(FIRST_PRESERVED..) {
            fd::place(descriptor, number).step(step)?;
        }
        Ok(())
    }
}

fn told_to_go(setup: &Setup<'_>) -> Result<bool, InitError> {
    let told = wire::receive::<ToInit>(setup.channel).step("waiting for the start")?;
    Ok(matches!(told, Some((ToInit::Go, _))))
}
