//! Changing the limits of a container that is there.

use coracle_cgroup::{Mode, Permissions};
use coracle_spec::LoadedResources;

use crate::lower::lower_resources;
use crate::rdt::Shares;
use crate::state::SystemdRecord;
use crate::{Container, Result, Status};

impl Container {
    /// Changes the limits of a created, running or paused container: all of them, or none if one is refused.
    /// What is not in `resources` stays as it is, and so do the rules for devices. `schemata` are lines of
    /// its share of caches and memory bandwidth, as `MB:0=20`; a container that has none apart from others
    /// gets one. Returns what the user should know.
    pub fn update(&self, resources: &LoadedResources, schemata: &[String]) -> Result<Vec<String>> {
        let lock = self.entry.lock()?;
        let current = Self::new(self.entry.clone(), self.entry.read()?);
        let (status, _) = current.inspect_locked(&lock)?;
        let refused = |hint| Err(current.refused("update", status, hint));
        if matches!(status, Status::Creating | Status::Stopped) {
            return refused("only a container that is there has limits");
        }
        let Some(cgroup) = current.own_cgroup()? else {
            return refused("it has no cgroup of its own: run it as root or have one delegated");
        };
        let mut warnings: Vec<_> = resources.warnings.iter().map(ToString::to_string).collect();
        if !resources.resources.devices.is_empty() {
            warnings.push("/devices: the rules of a container that is there are left alone".into());
        }
        let limits = lower_resources(&resources.resources, &mut warnings)?;
        let record = current.record.as_ref();
        let systemd = record.and_then(|record| record.systemd.as_ref());
        let systemd = systemd.map(SystemdRecord::connect).transpose()?;
        let rootless = record.is_some_and(|record| record.rootless);
        let permissions = if rootless { Permissions::BestEffort } else { Permissions::Required };
        let unified = cgroup.mode() == Mode::Unified;
        let pids = || Ok(cgroup.pids(true)?);
        let commit = |limits: &_| {
            let before = Shares::change(&current, schemata, pids)?;
            let told = match systemd {
                Some((mut manager, unit)) => manager.set(&unit, limits, unified),
                None => Ok(()),
            };
            told.map_err(|error| before.restore().err().unwrap_or(error.into()))
        };
        let skipped = cgroup.update(&limits, permissions, commit)?;
        warnings.extend(skipped.iter().map(ToString::to_string));
        Ok(warnings)
    }
}
