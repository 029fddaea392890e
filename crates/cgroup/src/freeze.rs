//! Freezing and thawing all processes of a cgroup.

use std::time::{Duration, Instant};

use crate::cgroup::Target;
use crate::{Cgroup, Error, Result, v1, v2};

impl Cgroup {
    /// Stops all processes until [`Cgroup::thaw`], with those of sub-cgroups.
    ///
    /// Returns when they have stopped. If some do not within the time given, because they wait
    /// for a device or keep forking, all run again and it is [`Error::Timeout`]. Uses the freezer
    /// of v1 where it is mounted, as runc does, else `cgroup.freeze` (Linux 5.2).
    pub fn freeze(&self, timeout: Duration) -> Result<()> {
        if self.freeze_until(Instant::now() + timeout)? {
            return Ok(());
        }
        self.timeout("freeze", timeout)
    }

    /// Lets the processes run again. Does nothing to a cgroup that is not frozen, and nothing about
    /// one above it that is.
    pub fn thaw(&self) -> Result<()> {
        match self.freezer()? {
            Target::V1(dir) => v1::freezer::thaw(dir)?,
            Target::V2(dir) => return v2::freezer::thaw(dir),
        }
        // Somebody else may have used the other freezer of a hybrid host.
        match &self.unified {
            Some(dir) if v2::freezer::is_frozen(dir)? => v2::freezer::thaw(dir),
            _ => Ok(()),
        }
    }

    /// Whether the processes are stopped, or on the way to it on v1. Asks both freezers of a
    /// hybrid host.
    pub fn frozen(&self) -> Result<bool> {
        if let Some(dir) = self.v1("freezer")
            && v1::freezer::is_frozen(dir)?
        {
            return Ok(true);
        }
        self.unified.as_ref().map_or(Ok(false), v2::freezer::is_frozen)
    }

    /// Whether all processes stopped before the deadline.
    pub(crate) fn freeze_until(&self, deadline: Instant) -> Result<bool> {
        match self.freezer()? {
            Target::V1(dir) => v1::freezer::freeze(dir, deadline),
            Target::V2(dir) => v2::freezer::freeze(dir, deadline),
        }
    }

    fn freezer(&self) -> Result<Target<'_>> {
        self.target("freezer").ok_or_else(|| Error::MissingController {
            controller: "freezer".into(),
            setting: "the state of the cgroup".into(),
            reason: "is not mounted here".into(),
        })
    }

    /// The error for a deadline that passed.
    pub(crate) fn timeout<T>(&self, action: &'static str, after: Duration) -> Result<T> {
        let processes = self.all_pids()?.len();
        Err(Error::Timeout { action, path: self.path().to_owned(), after, processes })
    }
}
