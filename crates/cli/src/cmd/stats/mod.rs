//! `coracle stats`.

mod screen;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use coracle::{BlockedSignals, ContainerId, Error, Sample, Signal, Status, Store};
use coracle_process::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;
use crate::receive::ending;
use screen::Screen;
use table::Row;

/// Seconds between two looks.
const INTERVAL: u64 = 1;

/// Shows what containers use, again and again until they have ended or a signal comes.
pub fn stats(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let interval = invocation.interval(INTERVAL)?;
    let once = invocation.flags.is_set("no-stream");
    let mut watch = Watch::new(invocation)?;
    let first = watch.measure()?;
    // Before anything is drawn, so that the terminal is always left as it was.
    let signals = BlockedSignals::all()?;
    let signals = signals.descriptor()?;
    let mut screen = Screen::open(once)?;
    if screen.is_live() {
        screen.show(&table::lines(&first))?;
    }
    let mut next = Instant::now();
    loop {
        next = (next + interval).max(Instant::now());
        if let Some(signal) = wait(&signals, next)? {
            // As a shell would say of a program that the signal ended.
            let code = u8::try_from(128 + signal.number());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        let rows = watch.measure()?;
        screen.show(&table::lines(&rows))?;
        if once || watch.is_over() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Waits until it is time; a signal that ends us is returned instead.
fn wait(signals: &SignalFd, next: Instant) -> Result<Option<Signal>> {
    loop {
        let left = next.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(signals, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::new(format!("cannot wait: {errno}"))),
        }
        if let Some(signal) = ending(signals)? {
            return Ok(Some(signal));
        }
    }
}

/// The containers that are looked at, and what was seen last.
struct Watch {
    store: Store,
    /// Nothing for all that there are.
    named: Option<Vec<ContainerId>>,
    before: BTreeMap<String, Sample>,
}

impl Watch {
    fn new(invocation: &Invocation) -> Result<Self> {
        let mut named = Vec::new();
        for index in 0..invocation.positional.len() {
            let id = ContainerId::parse(invocation.argument(index)?.unwrap_or_default())?;
            if !named.contains(&id) {
                named.push(id);
            }
        }
        let named = Some(named).filter(|named| !named.is_empty());
        Ok(Self { store: invocation.store()?, named, before: BTreeMap::new() })
    }

    /// Have all that were named ended?
    fn is_over(&self) -> bool {
        self.named.as_ref().is_some_and(Vec::is_empty)
    }

    fn measure(&mut self) -> Result<Vec<Row>> {
        let mut now = BTreeMap::new();
        let mut rows = Vec::new();
        for (id, sample) in self.samples()? {
            let before = self.before.get(&id);
            match sample {
                Ok(sample) => {
                    rows.push(table::row(&id, &sample, before));
                    now.insert(id, sample);
                }
                Err(error) if has_ended(&error) && (before.is_some() || self.named.is_none()) => {
                    self.named.iter_mut().for_each(|named| named.retain(|it| it.as_str() != id));
                }
                // It is there, but has no cgroup.
                Err(_) if self.named.is_none() => rows.push(table::unknown(&id)),
                Err(error) => return Err(error.into()),
            }
        }
        self.before = now;
        Ok(rows)
    }

    fn samples(&self) -> Result<Vec<(String, Result<Sample, Error>)>> {
        let sample = |id: &ContainerId| self.store.container(id)?.sample();
        if let Some(named) = &self.named {
            return Ok(named.iter().map(|id| (id.to_string(), sample(id))).collect());
        }
        // `list` tells of those that cannot be read.
        let containers = self.store.list()?.into_iter().flatten();
        Ok(containers.map(|container| (container.id().to_owned(), container.sample())).collect())
    }
}

fn has_ended(error: &Error) -> bool {
    let gone = |status: &Status| matches!(status, Status::Creating | Status::Stopped);
    match error {
        Error::NotFound(_) => true,
        Error::WrongState { status, .. } => gone(status),
        _ => false,
    }
}
