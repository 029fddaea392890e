//! Waiting for the start, and the execution of the command.

use std::os::fd::{AsRawFd, OwnedFd};

use coracle_process::Program;
use coracle_sys::{fd, signal};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, write};

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
        let gate = self.gate()?;
        wire::send(self.setup.channel, &ToHost::Ready, None).step("reporting readiness")?;
        // A host that has gone before this process was recorded leaves nobody who would start it.
        if !told_to_go(&self.setup)? {
            return Ok(());
        }
        let fifo = gate.map(|gate| gate.wait()).transpose()?;
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

    /// The FIFO to wait at, if it is not the host who says when.
    fn gate(&mut self) -> Result<Option<Gate>, InitError> {
        let StartGate::Fifo(slot) = self.setup.plan.process.gate else { return Ok(None) };
        let fifo = self.setup.descriptors.take(slot)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let directory = self.setup.proc.open_file("thread-self/fd", flags);
        Ok(Some(Gate { fifo, directory: directory.step("opening the container's FIFO")? }))
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

/// A FIFO to be opened for writing: it lies outside of the container, only a handle of it is here.
struct Gate {
    fifo: OwnedFd,
    /// This process's descriptors in a procfs that is no container's.
    directory: OwnedFd,
}

impl Gate {
    /// Sleeps until somebody opens the FIFO for reading; then tells it that this process has woken.
    ///
    /// There is no deadline: a created container waits for its start as long as it takes.
    fn wait(&self) -> Result<OwnedFd, InitError> {
        let step = "waiting for the start";
        let number = self.fifo.as_raw_fd().to_string();
        let fifo = loop {
            match openat(&self.directory, &number, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            {
                Err(Errno::INTR) => {}
                opened => break opened.step(step)?,
            }
        };
        write(&fifo, b"0").step(step)?;
        Ok(fifo)
    }
}

fn told_to_go(setup: &Setup<'_>) -> Result<bool, InitError> {
    let told = wire::receive::<ToInit>(setup.channel).step("waiting for the start")?;
    Ok(matches!(told, Some((ToInit::Go, _))))
}
