//! `coracle list`.

use std::process::ExitCode;

use coracle::{Error, State};

use super::print;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;

/// Lists the containers. One that cannot be read is reported and passed over.
pub fn list(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let store = invocation.store()?;
    // As from runc: one that was not named need not be there.
    let is_missing = !store.root().try_exists().unwrap_or(true);
    if is_missing && invocation.root().is_some() {
        let message = format!("cannot list {}: there is no such directory", store.root().display());
        return Err(Failure::new(message));
    }
    let mut states = Vec::new();
    for listed in store.list()? {
        match listed.and_then(|container| container.state()) {
            Ok(state) => states.push(state),
            // It is being made, or went, while we looked.
            Err(Error::WrongState { .. } | Error::NotFound(_)) => {}
            Err(error) => log.warning(&Failure::from(error).to_string()),
        }
    }
    if invocation.flags.is_set("quiet") {
        print(&states.iter().map(|state| format!("{}\n", state.id)).collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    }
    match invocation.flags.text("format")? {
        // An empty list is null, as from runc.
        Some("json") if states.is_empty() => print("null\n")?,
        Some("json") => print(&format!("{}\n", serde_json::to_string(&states)?))?,
        _ => print(&table(&states))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(states: &[State]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = states.iter().map(|state| {
        [
            state.id.clone(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.display().to_string(),
            state.created.clone(),
            state.owner.clone(),
        ]
    });
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    // At least as wide as runc's, so that what cuts columns by position goes on working.
    let widths: Vec<_> = (0..6).map(|column| width(column).max(9) + 3).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}
