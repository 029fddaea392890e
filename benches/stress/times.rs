//! What starts took.

use std::fmt;
use std::time::Duration;

#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// In ms.
    pub fn median(&self) -> f64 {
        self.at(50)
    }

    fn at(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let time = sorted.get(sorted.len().saturating_sub(1) * percent / 100);
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, median, p90, longest) = (self.0.len(), self.at(50), self.at(90), self.at(100));
        write!(f, "{count} starts: median {median:.2} ms, p90 {p90:.2}, longest {longest:.2}")
    }
}
