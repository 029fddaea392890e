//! The clocks of a time namespace.

use std::os::fd::{AsFd, OwnedFd};

use coracle_sys::procfs::{self, ProcRoot};
use rustix::fs::OFlags;
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

/// By what a process moves the clocks of the time namespace that it makes for its children.
#[derive(Debug)]
pub struct Clocks(OwnedFd);

/// Its name in a procfs.
const CLOCKS: &str = "self/timens_offsets";

impl Clocks {
    /// Of the caller, to be opened while its files in `proc` are its own: after it has joined a user namespace and
    /// hidden from tracers, they are not.
    pub fn open(proc: &ProcRoot) -> Result<Self> {
        proc.open_file(CLOCKS, OFlags::WRONLY).map(Self).map_err(Error::TimeOffsets)
    }

    /// Moves the clocks, after the caller has made the time namespace and before a child enters it. Who opened this
    /// needs `CAP_SYS_TIME` in its owner.
    pub fn set(&self, offsets: &TimeOffsets) -> Result<()> {
        let lines = offsets.to_string();
        if lines.is_empty() {
            return Ok(());
        }
        procfs::write(&self.0, CLOCKS, &lines).map_err(Error::TimeOffsets)
    }
}

impl TimeOffsets {
    /// Makes a time namespace with these clocks and moves the caller into it, which must have one thread.
    /// `CAP_SYS_ADMIN` and `CAP_SYS_TIME` in its user namespace, and its own files in `proc`.
    pub fn enter_new(&self, proc: &ProcRoot) -> Result<()> {
        unshare(NamespaceKind::Time)?;
        Clocks::open(proc)?.set(self)?;
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
