//! The freezer of v2, in every cgroup since Linux 5.2.

use std::time::Instant;

use super::events::{Events, wait};
use crate::Result;
use crate::dir::Dir;

const FILE: &str = "cgroup.freeze";

/// Freezes the processes; whether that came about before the deadline. If it did not, they run
/// again.
pub(crate) fn freeze(dir: &Dir, deadline: Instant) -> Result<bool> {
    dir.write(FILE, "1")?;
    let frozen = wait(dir, deadline, |events| events.frozen);
    if !matches!(frozen, Ok(true)) {
        thaw(dir)?;
    }
    frozen
}

pub(crate) fn thaw(dir: &Dir) -> Result<()> {
    dir.write(FILE, "0")
}

/// Whether all processes are frozen, by this cgroup or one above it.
pub(crate) fn is_frozen(dir: &Dir) -> Result<bool> {
    Ok(Events::read(dir)?.frozen)
}
