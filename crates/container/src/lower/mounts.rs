//! `/root`, `/mounts` and the paths to be hidden.

use std::path::{Path, PathBuf};

use coracle_cgroup::{Hierarchy, Mode};
use coracle_init::plan::{BindPlan, BindSource, MountKind, MountStep, MountsPlan};
use coracle_mount::{
    CgroupMount, CgroupV1Entry, Filesystem, MountFlags, MountOptions, Parameter, Propagation,
    PropagationKind, SourceLink,
};
use coracle_spec::Spec;
use coracle_spec::types::{Linux, Mount};

use super::{Context, devices, id_maps, invalid};
use crate::Result;

pub(super) fn lower(spec: &Spec, context: &Context<'_>, unprivileged: bool) -> Result<MountsPlan> {
    let Spec { root, linux, .. } = spec;
    let lowering = Lowering::new(context, spec);
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
        .any(|step| step.path == Path::new("/dev") && matches!(step.kind, MountKind::Bind(_)));
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
        root: context.root.to_owned(),
    })
}

/// Mounts for a container that is there.
pub(crate) fn lower_live(
    mounts: &[Mount],
    context: &Context<'_>,
    spec: &Spec,
) -> Result<Vec<MountStep>> {
    let lowering = Lowering::new(context, spec);
    let step = |(index, mount): (usize, &Mount)| {
        let step = lowering.step(mount, format!("/mounts/{index}"))?;
        let refused = |field, message| Err(invalid(format!("/mounts/{index}/{field}"), message));
        if mount.kind.as_ref().is_some_and(|kind| NAMESPACED.contains(&kind.as_str())) {
            return refused("type", "can only be mounted when the container is created");
        }
        let plain = match &step.kind {
            MountKind::Bind(bind) => {
                bind.id_map.is_none() && bind.link == SourceLink::Follow && !bind.over_link
            }
            kind => matches!(kind, MountKind::Filesystem(_)),
        };
        match plain {
            true => Ok(step),
            false => refused(
                "options",
                "have idmap, remount or a symbolic link, which is for containers that are created",
            ),
        }
    };
    mounts.iter().enumerate().map(step).collect()
}

/// File systems that show a namespace of whoever mounts them.
const NAMESPACED: [&str; 6] = ["cgroup", "cgroup2", "devpts", "mqueue", "proc", "sysfs"];

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

/// File systems whose files SELinux' policy labels.
const LABELLED_BY_POLICY: [&str; 5] = ["cgroup", "cgroup2", "mqueue", "proc", "sysfs"];

/// What the mounts have in common.
struct Lowering<'plan> {
    context: &'plan Context<'plan>,
    /// The root file system by the name that it is given.
    root: PathBuf,
    linux: &'plan Linux,
}

impl<'plan> Lowering<'plan> {
    fn new(context: &'plan Context<'plan>, spec: &'plan Spec) -> Self {
        Self { context, root: context.bundle.join(&spec.root.path), linux: &spec.linux }
    }

    fn step(&self, mount: &Mount, name: String) -> Result<MountStep> {
        let mut options = MountOptions::parse(mount.options.iter().map(String::as_str));
        let fstype = mount.kind.as_deref().unwrap_or_default();
        options.bind = options.bind.or((fstype == "bind").then_some(false));
        check(mount, &options).map_err(|message| invalid(format!("{name}/options"), message))?;
        let path = mount.destination.clone();
        let attributes = options.attributes.clone();
        let new = options.bind.is_none() && !options.remount;
        let labelled = new && self.label(fstype, &mut options.parameters);
        let kind = match (options.bind, fstype) {
            (bind, _) if options.remount => {
                MountKind::Remount { parameters: bind.is_none().then_some(options.parameters) }
            }
            (Some(recursive), _) => self.bind(mount, &options, recursive, &name)?,
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
        let label = if labelled { ", labelled by /linux/mountLabel" } else { "" };
        Ok(MountStep { name: format!("{name}{label}"), path, kind, attributes })
    }

    /// Adds `/linux/mountLabel` to what the driver is told, if files of this type have labels of their own,
    /// and the mount's options do not say which.
    fn label(&self, fstype: &str, parameters: &mut Vec<Parameter>) -> bool {
        let Some(label) = &self.linux.mount_label else { return false };
        let known = parameters.iter().any(|parameter| parameter.key == "context");
        if known || label.is_empty() || LABELLED_BY_POLICY.contains(&fstype) {
            return false;
        }
        parameters.push(Parameter::new("context", label));
        true
    }

    fn bind(
        &self,
        mount: &Mount,
        options: &MountOptions,
        recursive: bool,
        name: &str,
    ) -> Result<MountKind> {
        let missing = || invalid(format!("{name}/source"), "must be given");
        let source = mount.source.as_deref().ok_or_else(missing)?;
        let id_map = id_maps::lower(mount, options.id_map.as_ref(), self.linux)
            .map_err(|message| invalid(format!("{name}/options"), format!("idmap {message}")))?;
        let source = match id_map {
            // It is for the host to map the owners of its files.
            Some(_) => BindSource::Host(self.context.bundle.join(source)),
            None => self.source(source),
        };
        let (link, over_link) = (options.source_link, options.over_link);
        Ok(MountKind::Bind(BindPlan { source, recursive, link, over_link, id_map }))
    }

    /// A source inside the root file system may be something that was mounted there before.
    fn source(&self, source: &Path) -> BindSource {
        let source = self.context.bundle.join(source);
        let roots = [self.context.root, &self.root];
        match roots.iter().find_map(|root| source.strip_prefix(root).ok()) {
            Some(inside) => BindSource::Container(Path::new("/").join(inside)),
            None => BindSource::Host(source),
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
                (false, _) => {
                    let path = mount_point.unwrap_or(Path::new("/sys/fs/cgroup")).into();
                    let bind = BindPlan::new(BindSource::Host(path));
                    MountKind::Bind(BindPlan { recursive: true, ..bind })
                }
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

/// Words that make no sense together; without this one would have no effect.
fn check(mount: &Mount, options: &MountOptions) -> Result<(), String> {
    let is_tmpfs = mount.kind.as_deref() == Some("tmpfs");
    if options.copy_up && (options.bind.is_some() || options.remount || !is_tmpfs) {
        return Err("tmpcopyup is for a tmpfs: leave it out".into());
    }
    if let (Some(_), Some(parameter)) = (options.bind, options.parameters.first()) {
        return Err(format!("a bind mount takes no file system option: {parameter}"));
    }
    let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    let of_bind = [
        ("idmap", mapped || options.id_map.is_some()),
        ("dest-nofollow", options.over_link),
        ("src-nofollow and copy-symlink", options.source_link != SourceLink::Follow),
    ];
    let is_bind = options.bind.is_some() && !options.remount;
    match of_bind.iter().find(|(_, asked)| *asked && !is_bind) {
        Some((word, _)) => Err(format!("{word} is for a new bind mount: leave it out")),
        None => Ok(()),
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
