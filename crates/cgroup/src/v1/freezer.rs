//! `freezer` of v1; see freezer-subsystem.rst.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::dir::Dir;

const STATE: &str = "freezer.state";
const FROZEN: &str = "FROZEN";
const THAWED: &str = "THAWED";

/// How often to ask again before letting the processes run for a moment.
const TRIES: u32 = 50;

/// Freezes the processes; whether that came about before the deadline. If it did not, they run
/// again.
///
/// A process that was just forked escapes the order and leaves the cgroup `FREEZING`, so it is
/// given again and again, with thaws in between that let stuck processes move.
pub(crate) fn freeze(dir: &Dir, deadline: Instant) -> Result<bool> {
    let frozen = try_freeze(dir, deadline);
    if !matches!(frozen, Ok(true)) {
        thaw(dir)?;
    }
    frozen
}

fn try_freeze(dir: &Dir, deadline: Instant) -> Result<bool> {
    for attempt in 1_u32.. {
        dir.write(STATE, FROZEN)?;
        if dir.read(STATE)?.trim() == FROZEN {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            break;
        }
        if attempt % TRIES == 0 {
            thaw(dir)?;
            sleep(Duration::from_millis(10));
        } else {
            sleep(Duration::from_micros(u64::from(attempt % TRIES) * 10));
        }
    }
    Ok(false)
}

pub(crate) fn thaw(dir: &Dir) -> Result<()> {
    dir.write(STATE, THAWED)
}

/// Whether the cgroup is frozen or on the way to it. One without the file is not.
pub(crate) fn is_frozen(dir: &Dir) -> Result<bool> {
    Ok(dir.read_if_there(STATE)?.is_some_and(|state| state.trim() != THAWED))
}
