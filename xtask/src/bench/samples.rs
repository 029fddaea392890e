//! What was measured.

use serde::{Deserialize, Serialize};

/// The configuration of the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Variant {
    Plain,
    Seccomp,
    /// Without seccomp, too.
    Binds,
}

impl Variant {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Seccomp, Self::Binds];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "without seccomp",
            Self::Seccomp => "with the default seccomp profile",
            Self::Binds => "with 50 bind mounts",
        }
    }
}

/// What is measured of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// `run` of `/bin/true`.
    Run,
    /// What the seccomp profile adds to that: the difference of two that follow each other.
    Filter,
    Create,
    State,
    Start,
    /// Of a container that has ended.
    Delete,
    /// Of `/bin/true`, in a created container.
    Exec,
    /// From the beginning of `create` to the end of `delete`, less `state` and `exec`.
    Cycle,
    Version,
    /// The most memory that `create` had resident.
    CreatePeak,
    /// What the first process of a created container has resident.
    InitRss,
    /// The same, with shared pages divided among those who share them.
    InitPss,
    /// Of the program's file.
    Size,
}

impl Measure {
    pub const ALL: [Self; 13] = [
        Self::Run,
        Self::Filter,
        Self::Exec,
        Self::Cycle,
        Self::Create,
        Self::Start,
        Self::Delete,
        Self::State,
        Self::Version,
        Self::CreatePeak,
        Self::InitRss,
        Self::InitPss,
        Self::Size,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "`run` of `/bin/true`",
            Self::Filter => "what the profile adds to `run`",
            Self::Exec => "`exec` of `/bin/true`",
            Self::Cycle => "`create` to `delete`",
            Self::Create => "`create`",
            Self::State => "`state`",
            Self::Start => "`start`",
            Self::Delete => "`delete`",
            Self::Version => "`--version`",
            Self::CreatePeak => "most memory in `create`",
            Self::InitRss => "memory of a created container (RSS)",
            Self::InitPss => "memory of a created container (PSS)",
            Self::Size => "size of the file",
        }
    }

    /// In µs, or else in KiB.
    pub fn is_time(self) -> bool {
        !matches!(self, Self::CreatePeak | Self::InitRss | Self::InitPss | Self::Size)
    }

    /// Of the program, whatever it runs.
    pub fn is_of_the_program(self) -> bool {
        matches!(self, Self::Version | Self::Size)
    }
}

/// The values of one measure of one program.
#[derive(Debug, Serialize, Deserialize)]
struct Series {
    variant: Variant,
    measure: Measure,
    program: String,
    values: Vec<f64>,
}

/// All that was measured in one place, and what the place is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Samples {
    /// Names and values that the numbers depend on.
    pub facts: Vec<(String, String)>,
    series: Vec<Series>,
}

/// Most of the values lie between the outer two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub p10: f64,
    pub median: f64,
    pub p90: f64,
}

impl Samples {
    /// None yet, of a place of which this is known.
    pub fn of(facts: Vec<(String, String)>) -> Self {
        Self { facts, ..Self::default() }
    }

    pub fn add(&mut self, variant: Variant, measure: Measure, program: &str, value: f64) {
        match self.series.iter_mut().find(|series| series.is(variant, measure, program)) {
            Some(series) => series.values.push(value),
            None => self.series.push(Series {
                variant,
                measure,
                program: program.to_owned(),
                values: vec![value],
            }),
        }
    }

    pub fn summary(&self, variant: Variant, measure: Measure, program: &str) -> Option<Summary> {
        let series = self.series.iter().find(|series| series.is(variant, measure, program))?;
        Summary::of(&series.values)
    }

    /// The names of the programs, in the order of measuring.
    pub fn programs(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for series in &self.series {
            if !names.contains(&series.program.as_str()) {
                names.push(&series.program);
            }
        }
        names
    }
}

impl Series {
    fn is(&self, variant: Variant, measure: Measure, program: &str) -> bool {
        (self.variant, self.measure, self.program.as_str()) == (variant, measure, program)
    }
}

impl Summary {
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_owned();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |percent: usize| sorted[(last * percent + 50) / 100];
        Some(Self { p10: at(10), median: at(50), p90: at(90) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summarises_in_any_order() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let expected = Summary { p10: 10.0, median: 50.0, p90: 90.0 };
        assert_eq!(Summary::of(&values), Some(expected));
        let one = Summary { p10: 7.0, median: 7.0, p90: 7.0 };
        assert_eq!(Summary::of(&[7.0]), Some(one));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn survives_the_way_through_a_file() {
        let mut samples = Samples::default();
        samples.add(Variant::Plain, Measure::Run, "crun", 2.0);
        samples.add(Variant::Plain, Measure::Run, "coracle", 1.0);
        let text = serde_json::to_string(&samples).unwrap();
        let read: Samples = serde_json::from_str(&text).unwrap();
        assert_eq!(read.programs(), ["crun", "coracle"]);
        let summary = read.summary(Variant::Plain, Measure::Run, "coracle").unwrap();
        assert_eq!(summary.median.to_bits(), 1.0_f64.to_bits());
        assert_eq!(read.summary(Variant::Seccomp, Measure::Run, "coracle"), None);
    }
}
