//! `memory` of v1; see memory.rst.

use coracle_sys::Errno;

use crate::convert::bytes;
use crate::dir::Dir;
use crate::resources::Memory;
use crate::set::Skips;
use crate::{Error, Result};

const LIMIT: &str = "memory.limit_in_bytes";
const SWAP: &str = "memory.memsw.limit_in_bytes";

pub(crate) fn set(dir: &Dir, memory: &Memory, _: &mut Skips) -> Result<()> {
    let limit = bytes("memory limit", memory.limit)?;
    let swap = bytes("memory swap", memory.swap)?;
    let reservation = bytes("memory reservation", memory.reservation)?;
    set_limits(dir, limit, swap)?;
    if let Some(reservation) = reservation {
        dir.write("memory.soft_limit_in_bytes", &reservation.to_string())?;
    }
    if let Some(disable) = memory.disable_oom_killer {
        set_oom_killer(dir, disable)?;
    }
    match memory.swappiness {
        None => Ok(()),
        Some(value @ 0..=100) => dir.write("memory.swappiness", &value.to_string()),
        Some(value) => Err(Error::InvalidValue {
            setting: "memory swappiness",
            value: value.to_string(),
            reason: "must be 0 to 100",
        }),
    }
}

fn set_oom_killer(dir: &Dir, disable: bool) -> Result<()> {
    match dir.write("memory.oom_control", if disable { "1" } else { "0" }) {
        // A kernel that always kills.
        Err(error) if error.is_missing() && !disable => Ok(()),
        result => result,
    }
}

/// Writes both limits in the order that the kernel takes: the limit of memory never exceeds
/// that of memory and swap together.
fn set_limits(dir: &Dir, limit: Option<i64>, swap: Option<i64>) -> Result<()> {
    // Unlimited memory means unlimited swap, unless that is given too.
    let swap = if limit == Some(-1) { swap.or(limit) } else { swap };
    match (limit, swap) {
        (None, None) => Ok(()),
        (Some(limit), None) => write(dir, LIMIT, limit),
        (None, Some(swap)) => write_swap(dir, swap),
        (Some(limit), Some(swap)) => match write(dir, LIMIT, limit) {
            // More than memory and swap had so far: first give them more.
            Err(error) if error.errno() == Some(Errno::INVAL) => {
                write_swap(dir, swap)?;
                write(dir, LIMIT, limit)
            }
            result => result.and_then(|()| write_swap(dir, swap)),
        },
    }
}

fn write_swap(dir: &Dir, swap: i64) -> Result<()> {
    match write(dir, SWAP, swap) {
        // Without swap accounting there is no limit.
        Err(error) if error.is_missing() && swap == -1 => Ok(()),
        result => result,
    }
}

fn write(dir: &Dir, file: &str, value: i64) -> Result<()> {
    dir.write(file, &value.to_string())
}
