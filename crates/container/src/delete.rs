//! Deleting a container and all that was made for it.

use std::time::Duration;

use coracle_cgroup::{Cgroup, CgroupPaths};
use coracle_spec::ContainerId;

use crate::rdt::RdtRecord;
use crate::state::{Record, SystemdRecord};
use crate::{Container, Error, Result, Status, Store, devices, hooks};

/// How long the kernel may take to let go of a cgroup whose processes have ended.
const REMOVE_DEADLINE: Duration = Duration::from_secs(10);

impl Container {
    /// Deletes a container that is stopped or was never started, after its `poststop` hooks. Returns what the
    /// user should know: which of these failed, and how, and which network devices are not back as they were.
    pub fn delete(self) -> Result<Vec<String>> {
        let lock = self.entry.lock()?;
        // Meanwhile somebody may have started it.
        let current = Self::new(self.entry.clone(), self.entry.read()?);
        let (status, _) = current.inspect_locked(&lock)?;
        match status {
            Status::Stopped | Status::Created => current.destroy(),
            Status::Creating | Status::Running | Status::Paused => Err(Error::WrongState {
                id: current.id().to_owned(),
                operation: "delete",
                status,
                hint: Some("stop it first or delete it with --force"),
            }),
        }
    }

    /// Ends what still runs and removes what is recorded; the record last, so that hooks run again should this
    /// process be killed.
    fn destroy(&self) -> Result<Vec<String>> {
        if !self.ended_with_its_namespace()? {
            self.kill_all()?;
        }
        self.stop_unit()?;
        let cgroup = match self.cgroup()? {
            None => self.unclaimed_cgroup()?,
            cgroup => cgroup,
        };
        if let Some(cgroup) = cgroup {
            cgroup.remove(REMOVE_DEADLINE)?;
        }
        let rdt = self.record.as_ref().and_then(|record| record.rdt.as_ref());
        rdt.map_or(Ok(()), RdtRecord::remove)?;
        let mut warnings = devices::take_back(&self.entry)?;
        warnings.extend(self.record.iter().flat_map(run_poststop));
        self.entry.remove()?;
        Ok(warnings)
    }

    /// systemd forgets a scope when it is empty, but not at once, and a slice not at all.
    fn stop_unit(&self) -> Result<()> {
        let systemd = self.record.as_ref().and_then(|record| record.systemd.as_ref());
        let Some((mut manager, unit)) = systemd.map(SystemdRecord::connect).transpose()? else {
            return Ok(());
        };
        Ok(manager.stop(&unit)?)
    }

    /// The kernel ends a pid namespace with its first process.
    fn ended_with_its_namespace(&self) -> Result<bool> {
        let own = self.record.as_ref().filter(|record| record.own_pid_namespace);
        let Some(init) = own.and_then(|record| record.init.as_ref()) else { return Ok(false) };
        Ok(init.process().open()?.is_none())
    }

    /// The recorded cgroup of a creation that ended before it could say that it took it: if it is empty
    /// it was made for this container.
    fn unclaimed_cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(record) = &self.record else { return Ok(None) };
        // It may have been made in some hierarchies only.
        let made = record.cgroup_paths.iter().filter(|(_, path)| path.exists());
        let made: CgroupPaths = made.map(|(name, path)| (name.clone(), path.clone())).collect();
        for (name, path) in &made {
            let one = CgroupPaths::from([(name.clone(), path.clone())]);
            if !Cgroup::open(&one)?.pids(true)?.is_empty() {
                return Ok(None);
            }
        }
        Ok((!made.is_empty()).then(|| Cgroup::open(&made)).transpose()?)
    }
}

/// Runs the hooks of the end, and says which failed.
pub(crate) fn run_poststop(record: &Record) -> Vec<String> {
    let failures = hooks::run_all(&record.hooks.poststop, record, Status::Stopped);
    failures.iter().map(Error::chain).collect()
}

impl Store {
    /// Kills and deletes the container `id`, in whatever state it is, half-created and damaged ones too.
    /// One that does not exist is no error. Returns the same as [`Container::delete`].
    pub fn delete_forcibly(&self, id: &ContainerId) -> Result<Vec<String>> {
        let Some(entry) = self.entry(id) else { return Ok(Vec::new()) };
        let _lock = match entry.lock() {
            Err(Error::NotFound(_)) => return Ok(Vec::new()),
            lock => lock?,
        };
        match entry.read() {
            Ok(Some(record)) => Container::new(entry, Some(record)).destroy(),
            // Killed before anything was recorded, so before anything was done.
            Ok(None) => entry.remove().map(|()| Vec::new()),
            Err(Error::NotFound(_)) => Ok(Vec::new()),
            // The cgroup is noted apart, and in it is everything that may still run.
            Err(damaged @ Error::Damaged { .. }) => match entry.read_cgroup()? {
                Some(_) => Container::new(entry, None).destroy(),
                None => Err(damaged),
            },
            Err(error) => Err(error),
        }
    }
}
