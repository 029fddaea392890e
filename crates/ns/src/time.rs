//! The clocks of a time namespace.

use std::os::fd::AsFd;

use coracle_sys::SyscallError;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

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
    /// Writes the offsets to an open `/proc/PID/timens_offsets`, before the first process enters the namespace.
    pub fn write(&self, file: impl AsFd) -> Result<()> {
        let lines = self.to_string();
        if lines.is_empty() {
            return Ok(());
        }
        rustix::io::write(file, lines.as_bytes()).map(drop).map_err(|errno| {
            let args = format!("timens_offsets, {:?}", lines.trim_end());
            Error::TimeOffsets(SyscallError::new("write", args, errno))
        })
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
