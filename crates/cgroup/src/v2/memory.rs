//! `memory` of v2.

use crate::convert::{bytes, or_max, swap_alone};
use crate::dir::Dir;
use crate::resources::Memory;
use crate::set::Skips;
use crate::{Error, Result};

const CONTROLLER: &str = "memory";

pub(crate) fn set(dir: &Dir, memory: &Memory, skips: &mut Skips) -> Result<()> {
    let limit = bytes("memory limit", memory.limit)?;
    let swap = bytes("memory swap", memory.swap)?;
    let reservation = bytes("memory reservation", memory.reservation)?;
    if memory.check_before_update {
        check_usage(dir, [("memory limit", limit), ("memory swap", swap)])?;
    }
    if let Some(swap) = swap_alone(swap, limit)? {
        set_swap(dir, swap)?;
    }
    if let Some(limit) = limit {
        dir.write("memory.max", &or_max(limit))?;
    }
    if let Some(reservation) = reservation {
        dir.write("memory.low", &or_max(reservation))?;
    }
    if memory.swappiness.is_some() {
        skips.unsupported(CONTROLLER, "swappiness");
    }
    if memory.disable_oom_killer == Some(true) {
        skips.unsupported(CONTROLLER, "disable_oom_killer");
    }
    Ok(())
}

fn set_swap(dir: &Dir, swap: i64) -> Result<()> {
    match dir.write("memory.swap.max", &or_max(swap)) {
        // Without swap accounting there is nothing to limit.
        Err(error) if error.is_missing() && swap <= 0 && dir.read("memory.max").is_ok() => Ok(()),
        result => result,
    }
}

fn check_usage(dir: &Dir, limits: [(&'static str, Option<i64>); 2]) -> Result<()> {
    let usage = dir.read_number("memory.current")?;
    for (setting, limit) in limits {
        // No limit is -1.
        if let Some(Ok(limit)) = limit.map(u64::try_from)
            && limit <= usage
        {
            let value = limit.to_string();
            let reason = "is not above what is in use; ask for more, or free some first";
            return Err(Error::InvalidValue { setting, value, reason });
        }
    }
    Ok(())
}
