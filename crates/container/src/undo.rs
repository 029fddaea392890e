//! What a creation has done so far, and its way back.

use std::path::PathBuf;
use std::time::Duration;

use coracle_cgroup::{Cgroup, Resources};
use coracle_process::ProcessRef;

use crate::delete::run_poststop;
use crate::launch::{Init, Launch};
use crate::placement::Placement;
use crate::rdt::RdtRecord;
use crate::state::{InitRecord, Record};
use crate::store::{Entry, Lock};
use crate::{Container, Error, Result, devices};

/// How long the kernel may take to let go of a cgroup that is undone.
const UNDO_DEADLINE: Duration = Duration::from_secs(10);

/// What is there so far.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) entry: Entry,
    lock: Option<Lock>,
    pub(crate) record: Record,
    pub(crate) placement: Placement,
    pub(crate) cgroup: Option<Cgroup>,
    /// The process was there, so the hooks of the end must run.
    pub(crate) launched: bool,
    /// Where the number of the process was written for the caller.
    pub(crate) pid_file: Option<PathBuf>,
}

impl Undo {
    pub(crate) fn new((entry, lock): (Entry, Lock), record: Record, placement: Placement) -> Self {
        Self {
            entry,
            lock: Some(lock),
            record,
            placement,
            cgroup: None,
            launched: false,
            pid_file: None,
        }
    }

    /// The cgroup is this container's.
    pub(crate) fn own(&mut self, cgroup: Option<Cgroup>) -> Result<()> {
        if let Some(cgroup) = cgroup {
            let paths = cgroup.paths();
            self.cgroup = Some(cgroup);
            self.entry.write_cgroup(&paths)?;
        }
        Ok(())
    }

    /// Has systemd make the cgroup, if that is who makes it.
    pub(crate) fn make_unit(&mut self, pid: u32, resources: &Resources) -> Result<()> {
        let cgroup = self.placement.make_around(pid, resources)?;
        self.own(cgroup)
    }

    /// Records the first process, once.
    pub(crate) fn write_init<'launch>(&mut self, launch: &'launch Launch) -> Result<&'launch Init> {
        let none = || Error::Launch("it made no process".into());
        let init = launch.init.as_ref().ok_or_else(none)?;
        if self.record.init.is_none() {
            self.record.init = Some(InitRecord::new(ProcessRef::new(init.pid, &init.pidfd)?));
            self.entry.write(&self.record)?;
        }
        Ok(init)
    }

    fn remove_groups(&mut self) -> Result<()> {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill(UNDO_DEADLINE)?;
        }
        // It may have been asked for, whether or not its cgroup was found.
        if self.launched {
            self.placement.undo()?;
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove(UNDO_DEADLINE)?;
        }
        self.record.rdt.as_ref().map_or(Ok(()), RdtRecord::remove)
    }

    pub(crate) fn keep(mut self) -> Container {
        self.lock = None;
        Container::new(self.entry.clone(), Some(self.record.clone()))
    }
}

impl Undo {
    /// Takes all back, once. Returns what failed on the way: hooks, devices.
    pub(crate) fn take_back(&mut self) -> Vec<String> {
        let Some(lock) = self.lock.take() else { return Vec::new() };
        // What cannot be undone stays recorded, for `delete --force`.
        if self.remove_groups().is_err() {
            return Vec::new();
        }
        let Ok(mut failures) = devices::take_back(&self.entry) else { return Vec::new() };
        if let Some(pid_file) = &self.pid_file {
            std::fs::remove_file(pid_file).unwrap_or_default();
        }
        if self.launched {
            failures.extend(run_poststop(&self.record));
        }
        self.entry.remove().unwrap_or_default();
        drop(lock);
        failures
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        drop(self.take_back());
    }
}
