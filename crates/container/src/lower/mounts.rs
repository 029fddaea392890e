//! `/root`, `/mounts` and the paths to be hidden.

use std::path::{Path, PathBuf};

use coracle_cgroup::{Hierarchy, Mode};
use coracle_init::plan::{BindSource, MountKind, MountStep, MountsPlan};
use coracle_mount::{
    CgroupMount, CgroupV1Entry, Filesystem, MountFlags, MountOptions, Parameter, Propagation,
    PropagationKind,
};
use coracle_spec::Spec;
use coracle_spec::types::{Linux, Mount};

use super::{Context, devices, invalid};
use crate::Result;

pub(super) fn lower(spec: &Spec, context: &Context<'_>, unprivileged: bool) -> Result<MountsPlan> {
    let Spec { root, linux, .. } = spec;
    let root_path = context.bundle.join(&root.path);
    let lowering = Lowering { context, root: &root_path };
    let mut steps = Vec::new();
    let mut readonly_later = Vec::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let mut step = lowering.step(mount, format!("/mounts/{index}"))?;
        if is_filled_later(&step) {
            step.attributes.set.remove(MountFlags::RDONLY);
            step.attributes.recursive_set.remove(MountFlags::RDONLY);
            readonly_later.push(step.path.clone());
        }
        steps.push(step);
    }
    let own_dev = !steps
        .iter()
        .any(|step| step.path == Path::new("/dev") && matches!(step.kind, MountKind::Bind { .. }));
    let propagation = rootfs_propagation(linux)?;
    Ok(MountsPlan {
        outside: outside(propagation),
        propagation: propagation.filter(|p| p.kind != PropagationKind::Slave),
        steps,
        setup_dev: own_dev,
        devices: devices::lower(&linux.devices, own_dev),
        bind_devices: unprivileged,
        readonly_later,
        masked: linux.masked_paths.clone(),
        readonly: linux.readonly_paths.clone(),
        readonly_root: root.readonly,
        pivot: !context.no_pivot,
        root: root_path,
    })
}

/// `/dev` and other file systems in memory get their content, as places for mounts, before they are read-only.
fn is_filled_later(step: &MountStep) -> bool {
    let flags = step.attributes.set | step.attributes.recursive_set;
    let in_memory =
        matches!(&step.kind, MountKind::Filesystem(filesystem) if filesystem.fstype == "tmpfs");
    flags.contains(MountFlags::RDONLY) && (in_memory || step.path == Path::new("/dev"))
}

/// Nothing mounted in the container may reach the host before the root is exchanged.
fn outside(propagation: Option<Propagation>) -> Propagation {
    let kind = match propagation.map(|propagation| propagation.kind) {
        Some(PropagationKind::Private | PropagationKind::Unbindable) => PropagationKind::Private,
        _ => PropagationKind::Slave,
    };
    Propagation { kind, recursive: true }
}

fn rootfs_propagation(linux: &Linux) -> Result<Option<Propagation>> {
    let name = linux.rootfs_propagation.as_deref();
    let unknown = |name| {
        let message =
            format!("{name:?} is none of shared, slave, private, unbindable, and each with r");
        invalid("/linux/rootfsPropagation", message)
    };
    name.map(|name| Propagation::named(name).ok_or_else(|| unknown(name))).transpose()
}

/// What the mounts have in common.
struct Lowering<'plan> {
    context: &'plan Context<'plan>,
    root: &'plan Path,
}

impl Lowering<'_> {
    fn step(&self, mount: &Mount, name: String) -> Result<MountStep> {
        let options = MountOptions::parse(mount.options.iter().map(String::as_str))
            .map_err(|error| invalid(format!("{name}/options"), error.to_string()))?;
        let path = mount.destination.clone();
        let fstype = mount.kind.as_deref().unwrap_or_default();
        let bind = options.bind.or((fstype == "bind").then_some(false));
        if options.copy_up && (bind.is_some() || fstype != "tmpfs") {
            let message = "tmpcopyup is for a tmpfs: leave it out";
            return Err(invalid(format!("{name}/options"), message));
        }
        let kind = match (bind, fstype) {
            (Some(recursive), _) => {
                if let Some(parameter) = options.parameters.first() {
                    let message = format!("a bind mount takes no file system option: {parameter}");
                    return Err(invalid(format!("{name}/options"), message));
                }
                let missing = || invalid(format!("{name}/source"), "must be given");
                let source = mount.source.as_deref().ok_or_else(missing)?;
                MountKind::Bind { source: self.source(source), recursive }
            }
            (None, "cgroup" | "cgroup2") => self.cgroup(),
            (None, "") => {
                let message = "must be given, or bind among the options";
                return Err(invalid(format!("{name}/type"), message));
            }
            (None, fstype) => MountKind::Filesystem(Filesystem {
                fstype: fstype.to_owned(),
                source: mount.source.as_ref().map(|source| source.display().to_string()),
                parameters: options.parameters,
                copy_up: options.copy_up,
            }),
        };
        Ok(MountStep { name, path, kind, attributes: options.attributes })
    }

    /// A source inside the root file system may be something that was mounted there before.
    fn source(&self, source: &Path) -> BindSource {
        let source = self.context.bundle.join(source);
        match source.strip_prefix(self.root) {
            Ok(inside) => BindSource::Container(Path::new("/").join(inside)),
            Err(_) => BindSource::Host(source),
        }
    }

    fn cgroup(&self) -> MountKind {
        let own_namespace = self.context.own_cgroup_namespace;
        let cgroups = self.context.cgroups;
        if cgroups.mode() == Mode::Unified {
            let mount_point = cgroups.hierarchies().first().map(Hierarchy::mount_point);
            return match (own_namespace, self.context.cgroup_paths.get("")) {
                // What the container must not see of the host's it must not see by a copy either.
                (true, own) => MountKind::Cgroup {
                    mount: CgroupMount::Unified,
                    copies: own.cloned().into_iter().collect(),
                },
                // A new mount from the host's namespace would change the options of the host's.
                (false, _) => MountKind::Bind {
                    source: BindSource::Host(
                        mount_point.unwrap_or(Path::new("/sys/fs/cgroup")).into(),
                    ),
                    recursive: true,
                },
            };
        }
        let legacy: Vec<_> = cgroups.hierarchies().iter().filter(|h| !h.is_v2()).collect();
        let entries: Vec<_> = legacy.iter().map(|hierarchy| entry(hierarchy)).collect();
        let links = entries.iter().flat_map(links).collect();
        let copies = if own_namespace {
            Vec::new()
        } else {
            legacy.iter().filter_map(|hierarchy| self.directory_in(hierarchy)).collect()
        };
        MountKind::Cgroup { mount: CgroupMount::Legacy { entries, links }, copies }
    }

    /// The container's cgroup in a v1 hierarchy, as a directory of the host.
    fn directory_in(&self, hierarchy: &Hierarchy) -> Option<PathBuf> {
        let controller = hierarchy.controllers().first()?;
        Some(self.context.cgroup_paths.get(controller).cloned().unwrap_or_else(|| {
            // It could not be made there: what is shown is at least not more than the caller has.
            hierarchy.mount_point().join(hierarchy.own().unwrap_or(Path::new("")))
        }))
    }
}

/// How a v1 hierarchy is mounted: under the name of its directory on the host.
fn entry(hierarchy: &Hierarchy) -> CgroupV1Entry {
    let controllers = hierarchy.controllers();
    let name = hierarchy.mount_point().file_name().map_or_else(
        || controllers.join(",").replace("name=", ""),
        |name| name.to_string_lossy().into_owned(),
    );
    let mut parameters: Vec<_> =
        controllers.iter().map(|controller| Parameter::parse(controller)).collect();
    if controllers.iter().all(|controller| controller.starts_with("name=")) {
        parameters.insert(0, Parameter::parse("none"));
    }
    CgroupV1Entry { name, parameters }
}

/// Controllers that share a directory are found under each of their names.
fn links(entry: &CgroupV1Entry) -> Vec<(String, String)> {
    let controllers = entry.parameters.iter().filter(|parameter| parameter.value.is_none());
    let names = controllers.map(|parameter| parameter.key.clone());
    names
        .filter(|name| name != "none" && *name != entry.name)
        .map(|name| (name, entry.name.clone()))
        .collect()
}
