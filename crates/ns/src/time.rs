//! The clocks of a time namespace.

use std::os::fd::AsFd;

use coracle_sys::procfs::ProcRoot;
use serde::{Deserialize, Serialize};

use crate::{Error, NamespaceKind, NsFd, Result, join_all, unshare};

/// How far a clock is moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// Whole seconds, may be negative.
    pub seconds: i64,
    /// Nanoseconds to add, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// The offsets of a new time namespace to the initial one; see time_namespaces(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOffsets {
    /// Of `CLOCK_MONOTONIC`.
    pub monotonic: Option<ClockOffset>,
    /// Of `CLOCK_BOOTTIME`.
    pub boottime: Option<ClockOffset>,
}

impl TimeOffsets {
    /// Moves the clocks of the time namespace that the caller has just made for its children, before the
    /// first of them enters it. `CAP_SYS_TIME` in its owner.
    pub fn apply(&self, proc: &ProcRoot) -> Result<()> {
        let lines = self.to_string();
        if lines.is_empty() {
            return Ok(());
        }
        proc.write("self/timens_offsets", &lines).map_err(Error::TimeOffsets)
    }

    /// Makes a time namespace with these clocks and moves the caller into it, which must have one thread.
    /// `CAP_SYS_ADMIN` and `CAP_SYS_TIME` in its user namespace, and its own files in `proc`.
    pub fn enter_new(&self, proc: &ProcRoot) -> Result<()> {
        unshare(NamespaceKind::Time)?;
        self.apply(proc)?;
        let made = NsFd::of_process(proc, ("self", "time_for_children"), NamespaceKind::Time)?;
        join_all(&[(NamespaceKind::Time, made.as_fd())])
    }
}

impl std::fmt::Display for TimeOffsets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (clock, offset) in [("monotonic", self.monotonic), ("boottime", self.boottime)] {
            if let Some(ClockOffset { seconds, nanoseconds }) = offset {
                writeln!(f, "{clock} {seconds} {nanoseconds}")?;
            }
        }
        Ok(())
    }
}
