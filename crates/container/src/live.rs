//! Changing the mounts of a container that is there.

use std::path::{Path, PathBuf};

use coracle_cgroup::CgroupRoot;
use coracle_init::plan::{LivePlan, MountChange};
use coracle_ns::{KindSet, NamespaceKind};
use coracle_spec::{LoadedMounts, LoadedSpec, Spec};

use crate::exec::namespaces_of;
use crate::launch::{Handover, Launch};
use crate::lower::{Context, lower_live};
use crate::{Container, Error, InitExe, Result, Status, notify};

/// What every container may have mounted in `/dev`: copies of the host's nodes, and the terminal.
const DEVICES: [&str; 8] = [
    "/dev/console",
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

impl Container {
    /// Mounts more in a created, running or paused container: all, or nothing if one fails. Sources are paths
    /// of the caller, or relative to the bundle. `init` is the init program, which does it.
    ///
    /// Directories that were made as places for mounts stay if one fails. File systems that show a namespace
    /// (proc, sysfs, mqueue, devpts, cgroup) are for containers that are created. Bind mounts need
    /// `CAP_SYS_ADMIN` in the caller's mount namespace, or in a user namespace of the container.
    pub fn add_mounts(&self, mounts: &LoadedMounts, init: &InitExe) -> Result<()> {
        self.change_mounts(init, |current| {
            let record = current.recorded()?;
            let spec = current.configuration()?;
            let context = Context {
                id: current.id(),
                bundle: &record.bundle,
                root: &record.rootfs,
                cgroups: &CgroupRoot::discover()?,
                cgroup_paths: &record.cgroup_paths,
                own_cgroup_namespace: false,
                capabilities: coracle_caps::available()?,
                rootless: record.rootless,
                no_pivot: false,
                no_new_keyring: true,
            };
            Ok(MountChange::Add(lower_live(&mounts.mounts, &context, &spec)?))
        })
    }

    /// Takes away what is mounted on top at the destinations, if the container does not have it from its
    /// creation. Nothing but the destination of each matters. `init` is the init program, which does it.
    ///
    /// What was added is not recorded: it is what the configuration has not asked for. So a mount that the
    /// container made itself goes, too. If one of the destinations is refused, nothing is unmounted.
    pub fn remove_mounts(&self, mounts: &LoadedMounts, init: &InitExe) -> Result<()> {
        self.change_mounts(init, |current| {
            let spec = current.configuration()?;
            let places = mounts.mounts.iter().enumerate();
            let place = |(index, mount): (usize, &coracle_spec::types::Mount)| {
                (format!("/mounts/{index}"), mount.destination.clone())
            };
            Ok(MountChange::Remove { places: places.map(place).collect(), kept: kept(&spec) })
        })
    }

    /// The configuration that it was created from.
    fn configuration(&self) -> Result<Spec> {
        let path = self.entry.config();
        let config = std::fs::read(&path).map_err(|error| Error::file("read", &path, error))?;
        Ok(LoadedSpec::parse(&config, &path)?.spec)
    }

    fn change_mounts(
        &self,
        init: &InitExe,
        change: impl FnOnce(&Self) -> Result<MountChange>,
    ) -> Result<()> {
        let lock = self.entry.lock()?;
        let current = Self::new(self.entry.clone(), self.entry.read()?);
        let (status, _) = current.inspect_locked(&lock)?;
        let there = matches!(status, Status::Created | Status::Running | Status::Paused);
        let (pid, pidfd) = current.process()?.filter(|_| there).ok_or_else(|| {
            current.refused(
                "change the mounts of",
                status,
                "only a container that is there has some",
            )
        })?;
        let kinds = namespaces_of(pid, &pidfd)?;
        let wanted = [NamespaceKind::Mount, NamespaceKind::User];
        let kinds: KindSet = wanted.into_iter().filter(|kind| kinds.contains(*kind)).collect();
        let mut handover = Handover::default();
        let change = change(&current)?;
        let (init_slot, lock) = (handover.add(pidfd), handover.add(lock.share()?));
        let plan = LivePlan { lock, init: init_slot, kinds, change };
        Launch::start(&init.seal()?)?.change_mounts(plan, &handover)
    }
}

/// Where a container has mounts from its creation.
fn kept(spec: &Spec) -> Vec<PathBuf> {
    let mounts = spec.mounts.iter().map(|mount| mount.destination.as_path());
    let devices = spec.linux.devices.iter().map(|device| device.path.as_path());
    let defaults = DEVICES.iter().map(Path::new);
    let defaults = defaults.filter(|path| spec.linux.devices.iter().all(|it| it.path != **path));
    let hidden = spec.linux.masked_paths.iter().chain(&spec.linux.readonly_paths);
    let all = mounts.chain(devices).chain(defaults).chain(hidden.map(PathBuf::as_path));
    all.chain([Path::new(notify::DIRECTORY)]).map(Path::to_owned).collect()
}
