//! `coracle events`.

use std::process::ExitCode;

use coracle::{Event, EventKind};

use super::print;
use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Seconds between two measurements.
const INTERVAL: u64 = 5;

/// Prints what a container uses, once or at intervals until it ends, and when its memory runs out.
pub fn events(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let interval = invocation.interval(INTERVAL)?;
    let container = invocation.store()?.container(&invocation.id()?)?;
    if invocation.flags.is_set("stats") {
        let kind = EventKind::Stats {
            used: Box::new(container.stats()?),
            rdt: container.rdt_stats()?.map(Box::new),
        };
        print_line(&Event { id: container.id().to_owned(), kind })?;
    } else {
        container.events(interval)?.try_for_each(|event| print_line(&event?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_line(event: &Event) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string(event)?))
}
