//! Deadlines. Nothing here waits for ever.

use std::env;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Result;

/// How long between two looks at something that has no event.
const PAUSE: Duration = Duration::from_millis(5);

/// A deadline for this machine: `seconds`, times `CORACLE_TEST_SLOW` if that is set.
pub fn scaled(seconds: u64) -> Duration {
    Duration::from_secs(seconds) * factor()
}

fn factor() -> u32 {
    let given = env::var("CORACLE_TEST_SLOW").ok().and_then(|text| text.parse().ok());
    given.filter(|factor| *factor > 0).unwrap_or(1)
}

/// Looks until `look` sees something or ten (scaled) seconds have passed.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + scaled(10);
    loop {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            bail!("waited in vain: {what}");
        }
        std::thread::sleep(PAUSE);
    }
}

/// So many rounds of something: fewer on slow machines, or as many as `CORACLE_TEST_ROUNDS` says.
pub fn rounds(count: u32) -> u32 {
    let given = env::var("CORACLE_TEST_ROUNDS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| (count / factor()).max(1))
}
