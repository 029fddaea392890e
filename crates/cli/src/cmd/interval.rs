//! `--interval`: a time between two looks.

use std::time::Duration;

use crate::error::{Failure, Result};
use crate::parse::Invocation;

impl Invocation {
    /// What `--interval` says, or so many seconds.
    pub(super) fn interval(&self, default: u64) -> Result<Duration> {
        let Some(text) = self.flags.text("interval")? else {
            return Ok(Duration::from_secs(default));
        };
        let hint = "give a time above zero, as 5s, 500ms, 1m30s or 5";
        parse(text).ok_or_else(|| Failure::new(format!("--interval {text:?}: {hint}")))
    }
}

/// A time as Go writes it, `1m30.5s`, or a number of seconds.
fn parse(text: &str) -> Option<Duration> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c| !is_digit(c)).unwrap_or(rest.len()));
        let (unit, next) = after.split_at(after.find(is_digit).unwrap_or(after.len()));
        let unit = match unit {
            // Only if there is nothing else.
            "" if number.len() == text.len() => 1.0,
            unit => seconds_in(unit)?,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = next;
    }
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|it| !it.is_zero());
    // For more than 292 years Go has no number.
    duration.filter(|duration| i64::try_from(duration.as_nanos()).is_ok())
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        // The sign for "micro" and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_go_writes_them() {
        for (text, millis) in [
            ("5", 5000),
            ("0.5", 500),
            ("5s", 5000),
            ("500ms", 500),
            ("1m", 60_000),
            ("1m30s", 90_000),
            ("1h2m3.5s", 3_723_500),
            (".5s", 500),
            ("20000us", 20),
            ("20000\u{b5}s", 20),
            ("1000000ns", 1),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "", "0", "0s", "-1s", "s", "1x", "1m30", "1.2.3s", "1 s", "1s ", "inf", "1e99h",
            "9999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
