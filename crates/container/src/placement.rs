//! Which cgroup a container gets, and who makes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coracle_cgroup::{
    Cgroup, CgroupPath, CgroupPaths, CgroupRoot, Mode, Permissions, Resources, Skipped,
    SystemdManager, SystemdUnit,
};
use coracle_init::plan::{MountKind, MountStep};
use coracle_spec::Spec;

use crate::state::SystemdRecord;
use crate::{Error, Result};

/// Where the container's cgroup will be.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) root: CgroupRoot,
    path: CgroupPath,
    pub(crate) permissions: Permissions,
    systemd: Option<Systemd>,
}

/// systemd, which makes the cgroup as a unit around a first process.
#[derive(Debug)]
struct Systemd {
    manager: SystemdManager,
    unit: SystemdUnit,
    annotations: BTreeMap<String, String>,
    /// A limit of processes that waits for the launcher to leave.
    pids: Option<i64>,
}

impl Placement {
    /// Decides by the specification. With `systemd` its service manager is asked; that of the user, if
    /// `rootless`.
    pub(crate) fn choose(spec: &Spec, id: &str, systemd: bool, rootless: bool) -> Result<Self> {
        let root = CgroupRoot::discover()?;
        let permissions = if rootless { Permissions::BestEffort } else { Permissions::Required };
        let given = spec.linux.cgroups_path.as_deref().unwrap_or(Path::new(""));
        if !systemd {
            let path = CgroupPath::for_container(given, id)?;
            return Ok(Self { root, path, permissions, systemd: None });
        }
        let given = given.to_str().ok_or_else(|| Error::Spec {
            pointer: "/linux/cgroupsPath".into(),
            message: "must be text where systemd manages cgroups".into(),
        })?;
        let unit = SystemdUnit::for_container(given, id, rootless)?;
        let mut manager = SystemdManager::connect(rootless)?;
        let path = manager.cgroup_path(&unit)?;
        let annotations = spec.annotations.clone();
        let systemd = Systemd { manager, unit, annotations, pids: None };
        Ok(Self { root, path, permissions, systemd: Some(systemd) })
    }

    /// Where it will be in each hierarchy.
    pub(crate) fn paths(&self) -> Result<CgroupPaths> {
        Ok(self.root.paths(&self.path)?)
    }

    /// What is to be recorded of the unit.
    pub(crate) fn record(&self) -> Option<SystemdRecord> {
        self.systemd.as_ref().map(|systemd| SystemdRecord::new(&systemd.unit))
    }

    /// Makes the cgroup, if it can be made before there is a process for it.
    pub(crate) fn make(&self) -> Result<Option<Cgroup>> {
        if self.systemd.is_some() {
            return Ok(None);
        }
        Ok(Some(Cgroup::create(&self.root, &self.path, self.permissions)?))
    }

    /// Has systemd make it around the process `pid`, which the container's is born of.
    pub(crate) fn make_around(
        &mut self,
        pid: u32,
        resources: &Resources,
    ) -> Result<Option<Cgroup>> {
        let Some(Systemd { manager, unit, annotations, .. }) = &mut self.systemd else {
            return Ok(None);
        };
        let unified = self.root.mode() == Mode::Unified;
        manager.start(unit, pid, (resources, unified), annotations)?;
        Ok(Some(Cgroup::adopt(&self.root, &self.path, self.permissions)?))
    }

    /// Leaves room for the launcher, around which systemd makes the cgroup, where one process is the limit.
    pub(crate) fn leave_room(&mut self, resources: &mut Resources) {
        if let Some(systemd) = &mut self.systemd
            && let Some(0 | 1) = resources.pids
        {
            systemd.pids = resources.pids.replace(2);
        }
    }

    /// Takes that room back, when the process is there.
    pub(crate) fn take_room_back(&mut self, cgroup: Option<&Cgroup>) -> Result<()> {
        let (Some(systemd), Some(cgroup)) = (&mut self.systemd, cgroup) else { return Ok(()) };
        let Some(pids) = systemd.pids.take() else { return Ok(()) };
        let limit = Resources { pids: Some(pids), ..Resources::default() };
        cgroup.set(&limit, self.permissions)?;
        let unified = self.root.mode() == Mode::Unified;
        Ok(systemd.manager.set(&systemd.unit, &limit, unified)?)
    }

    /// The unit is to go again.
    pub(crate) fn undo(&mut self) -> Result<()> {
        match &mut self.systemd {
            Some(Systemd { manager, unit, .. }) => Ok(manager.stop(unit)?),
            None => Ok(()),
        }
    }
}

/// Where the container's cgroup could not be made, it is shown what it is in.
fn nearest_that_exists(path: &mut PathBuf) {
    while !path.is_dir() && path.pop() {}
}

/// Where the container's cgroup could not be made, it is shown what it is in.
pub(crate) fn show_what_is_there(steps: &mut [MountStep]) {
    let copies = steps.iter_mut().filter_map(|step| match &mut step.kind {
        MountKind::Cgroup { copies, .. } => Some(copies),
        _ => None,
    });
    for copy in copies.flatten() {
        nearest_that_exists(copy);
    }
}

/// One line for all controllers that are not used: they mostly have one reason.
pub(crate) fn unlimited<'skipped>(
    skipped: impl Iterator<Item = &'skipped Skipped>,
) -> Option<String> {
    let mut skipped = skipped.peekable();
    let reason = skipped.peek()?.reason.to_string();
    let mut names: Vec<_> = skipped.map(Skipped::name).collect();
    names.sort_unstable();
    names.dedup();
    Some(format!("nothing is limited by {}: {reason}", names.join(", ")))
}
