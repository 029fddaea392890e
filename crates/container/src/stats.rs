//! What a container uses.

use std::time::Instant;

use coracle_cgroup::{Cgroup, Stats};

use crate::rdt::RdtRecord;
use crate::{Container, Error, Result, Status};

impl Container {
    /// What its processes use and have used. Needs no privilege.
    ///
    /// It must not have ended ([`Error::WrongState`]), and needs a cgroup of its own: a user has one only
    /// where cgroups are delegated.
    pub fn stats(&self) -> Result<Stats> {
        let status = self.status()?;
        let cgroup = self.measured_cgroup(status)?;
        match cgroup.stats() {
            // It ended while we looked.
            Err(coracle_cgroup::Error::Gone { .. }) => Err(self.has_no_processes(Status::Stopped)),
            stats => Ok(stats?),
        }
    }

    /// The cgroup of a container that has processes.
    pub(crate) fn measured_cgroup(&self, status: Status) -> Result<Cgroup> {
        if matches!(status, Status::Creating | Status::Stopped) {
            return Err(self.has_no_processes(status));
        }
        self.own_cgroup()?.ok_or_else(|| {
            let hint = "it has no cgroup of its own: run it as root or have one delegated to you";
            self.refused("measure", status, hint)
        })
    }

    fn has_no_processes(&self, status: Status) -> Error {
        self.refused("measure", status, "only what is created, running or paused uses anything")
    }

    /// What it may use of caches and memory bandwidth, and uses; nothing if it has no share apart from others.
    pub fn rdt_stats(&self) -> Result<Option<coracle_rdt::Stats>> {
        let rdt = self.record.as_ref().and_then(|record| record.rdt.as_ref());
        rdt.map(RdtRecord::stats).transpose()
    }

    /// What it uses at this moment; two of these make a rate. Fails as [`Container::stats`].
    pub fn sample(&self) -> Result<Sample> {
        Ok(Sample { at: Instant::now(), stats: self.stats()? })
    }
}

/// What a container used at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// What.
    pub stats: Stats,
}

impl Sample {
    /// How many processors it used since an earlier sample, on average: 0.5 is half of one. `None` if
    /// processor time is not accounted for.
    pub fn processors_since(&self, earlier: &Self) -> Option<f64> {
        let usage = |sample: &Self| sample.stats.cpu.as_ref().map(|cpu| cpu.usage);
        let used = usage(self)?.saturating_sub(usage(earlier)?);
        let elapsed = self.at.saturating_duration_since(earlier.at);
        (!elapsed.is_zero()).then(|| used.as_secs_f64() / elapsed.as_secs_f64())
    }
}
