//! Pressure: how long processes wait for a resource; see the kernel's Documentation/accounting/psi.rst.

use std::time::Duration;

use super::files;
use crate::{Cgroup, Result};

/// How long the processes of a cgroup have waited for a resource.
///
/// Every v2 cgroup has it, on a hybrid host too, unless the kernel was built or booted without
/// (`CONFIG_PSI`, `psi=1`) or it is switched off in `cgroup.pressure`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Pressure {
    /// When at least one of them waited.
    pub some: Stall,
    /// When all that had something to do waited. For processors since Linux 5.13.
    pub full: Option<Stall>,
}

/// How long it was waited.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Stall {
    /// Of the last 10 seconds, in percent.
    pub avg10: f64,
    /// Of the last minute, in percent.
    pub avg60: f64,
    /// Of the last five minutes, in percent.
    pub avg300: f64,
    /// In all.
    pub total: Duration,
}

/// The pressure that a file tells of.
pub(super) fn read(cgroup: &Cgroup, file: &str) -> Result<Option<Pressure>> {
    let Some(dir) = &cgroup.unified else { return Ok(None) };
    let Some(text) = files::text(dir, file)? else { return Ok(None) };
    let pressure = Pressure::parse(&text);
    pressure.map(Some).ok_or_else(|| dir.malformed(file, &text, "pressure"))
}

impl Pressure {
    fn parse(text: &str) -> Option<Self> {
        let line = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)).and_then(Stall::parse)
        };
        Some(Self { some: line("some ")?, full: line("full ") })
    }
}

impl Stall {
    fn parse(line: &str) -> Option<Self> {
        let field = |name: &str| {
            line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let average = |name: &str| field(name)?.parse().ok();
        Some(Self {
            avg10: average("avg10")?,
            avg60: average("avg60")?,
            avg300: average("avg300")?,
            total: Duration::from_micros(field("total")?.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pressure() {
        let text = "some avg10=57.60 avg60=31.33 avg300=33.58 total=7142850298\n\
                    full avg10=0.00 avg60=0.12 avg300=0.00 new=1 total=5\nmore avg10=1\n";
        let pressure = Pressure::parse(text).unwrap();
        let some = Stall {
            avg10: 57.6,
            avg60: 31.33,
            avg300: 33.58,
            total: Duration::from_micros(7_142_850_298),
        };
        assert_eq!(pressure.some, some);
        let full = pressure.full.unwrap();
        assert_eq!((full.avg60, full.total), (0.12, Duration::from_micros(5)));
        // Of processors before Linux 5.13.
        let line = text.lines().next().unwrap();
        assert_eq!(Pressure::parse(line).unwrap().full, None);
        assert_eq!(Pressure::parse(""), None);
        assert_eq!(Pressure::parse("some avg10=x"), None);
    }
}
