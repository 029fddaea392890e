//! Pausing a container and letting it go on.

use std::time::Duration;

use coracle_cgroup::Cgroup;

use crate::store::Lock;
use crate::{Container, Error, Result, Status};

/// How long the processes may take to stop: one that waits for a device does not stop before it is served.
const FREEZE_DEADLINE: Duration = Duration::from_secs(10);

impl Container {
    /// Stops all processes of a created or running container until it is [resumed](Self::resume) or killed.
    ///
    /// Returns when they have stopped. If some do not within ten seconds, all run again and it is an error.
    /// Needs a cgroup of the container's own: a user has one only where cgroups are delegated.
    pub fn pause(&self) -> Result<()> {
        let lock = self.entry.lock()?;
        let (current, status) = self.at_this_moment(&lock)?;
        let refused = |hint| current.refused("pause", status, hint);
        match status {
            Status::Created | Status::Running => {
                let cgroup = current.own_cgroup()?.ok_or_else(|| {
                    refused("it has no cgroup that could be frozen: run it as root or have one delegated to you")
                })?;
                Ok(cgroup.freeze(FREEZE_DEADLINE)?)
            }
            Status::Creating | Status::Paused | Status::Stopped => {
                Err(refused("only a created or running container can be paused"))
            }
        }
    }

    /// Lets the processes of a paused container run again.
    pub fn resume(&self) -> Result<()> {
        let lock = self.entry.lock()?;
        let (current, status) = self.at_this_moment(&lock)?;
        let refused = |hint| current.refused("resume", status, hint);
        let cgroup = current.own_cgroup()?.filter(|_| status == Status::Paused);
        let cgroup = cgroup.ok_or_else(|| refused("only a paused container can be resumed"))?;
        cgroup.thaw()?;
        match cgroup.frozen()? {
            false => Ok(()),
            true => Err(refused("a cgroup above its own is frozen: thaw that one")),
        }
    }

    /// The container as it is recorded now that nobody else changes it, and what it is doing.
    fn at_this_moment(&self, lock: &Lock) -> Result<(Self, Status)> {
        let current = Self::new(self.entry.clone(), self.entry.read()?);
        let (status, _) = current.inspect_locked(lock)?;
        Ok((current, status))
    }

    /// Its cgroup, if one could be made and is still there.
    pub(crate) fn own_cgroup(&self) -> Result<Option<Cgroup>> {
        Ok(self.cgroup()?.filter(Cgroup::exists))
    }

    pub(crate) fn refused(
        &self,
        operation: &'static str,
        status: Status,
        hint: &'static str,
    ) -> Error {
        Error::WrongState { id: self.id().to_owned(), operation, status, hint: Some(hint) }
    }
}
