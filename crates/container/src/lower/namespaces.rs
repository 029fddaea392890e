//! `/linux/namespaces` and what belongs to it.

use std::path::PathBuf;

use coracle_init::plan::NamespacesPlan;
use coracle_ns::idmap::{IdMap, IdMapping};
use coracle_ns::{ClockOffset, NamespaceKind, TimeOffsets};
use coracle_spec::sysctl_path;
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Spec};

use super::invalid;
use crate::Result;

pub(super) fn lower(
    spec: &Spec,
    linux: &Linux,
) -> Result<(NamespacesPlan, Vec<(NamespaceKind, PathBuf)>)> {
    let mut plan = NamespacesPlan::default();
    let mut join = Vec::new();
    for namespace in linux.namespaces().iter().flatten() {
        let kind = kind(namespace.typ());
        match namespace.path().as_ref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => join.push((kind, path.clone())),
            None => plan.create.insert(kind),
        }
    }
    if !plan.create.contains(NamespaceKind::Mount)
        && !join.iter().any(|(kind, _)| *kind == NamespaceKind::Mount)
    {
        let message = "a container needs a mount namespace, or its mounts would appear on the host: \
                       add {\"type\": \"mount\"}";
        return Err(invalid("/linux/namespaces", message));
    }
    if plan.create.contains(NamespaceKind::User) {
        plan.uid_map = id_map(linux.uid_mappings());
        plan.gid_map = id_map(linux.gid_mappings());
        if plan.uid_map.is_empty() || plan.gid_map.is_empty() {
            let message = "a new user namespace needs /linux/uidMappings and /linux/gidMappings";
            return Err(invalid("/linux/namespaces", message));
        }
    }
    plan.time_offsets = time_offsets(linux);
    plan.hostname = spec.hostname().clone().filter(|name| !name.is_empty());
    plan.domainname = spec.domainname().clone().filter(|name| !name.is_empty());
    plan.sysctls = sysctls(linux)?;
    Ok((plan, join))
}

fn sysctls(linux: &Linux) -> Result<Vec<(String, String)>> {
    let path = |(name, value): (&String, &String)| {
        let pointer = format!("/linux/sysctl/{name}");
        let path = sysctl_path(name).ok_or_else(|| invalid(pointer, "is no kernel parameter"))?;
        Ok((path, value.clone()))
    };
    let mut sysctls = linux.sysctl().iter().flatten().map(path).collect::<Result<Vec<_>>>()?;
    sysctls.sort();
    Ok(sysctls)
}

/// The kind of namespace that the kernel parameter in the file `path` belongs to.
pub(crate) fn kind_of_sysctl(path: &str) -> NamespaceKind {
    match path {
        _ if path.starts_with("net/") => NamespaceKind::Net,
        "kernel/domainname" | "kernel/hostname" => NamespaceKind::Uts,
        _ => NamespaceKind::Ipc,
    }
}

fn kind(oci: LinuxNamespaceType) -> NamespaceKind {
    match oci {
        LinuxNamespaceType::Mount => NamespaceKind::Mount,
        LinuxNamespaceType::Cgroup => NamespaceKind::Cgroup,
        LinuxNamespaceType::Uts => NamespaceKind::Uts,
        LinuxNamespaceType::Ipc => NamespaceKind::Ipc,
        LinuxNamespaceType::User => NamespaceKind::User,
        LinuxNamespaceType::Pid => NamespaceKind::Pid,
        LinuxNamespaceType::Network => NamespaceKind::Net,
        LinuxNamespaceType::Time => NamespaceKind::Time,
    }
}

fn id_map(mappings: &Option<Vec<LinuxIdMapping>>) -> IdMap {
    let mapping = |oci: &LinuxIdMapping| IdMapping {
        inside: oci.container_id(),
        outside: oci.host_id(),
        count: oci.size(),
    };
    IdMap(mappings.iter().flatten().map(mapping).collect())
}

fn time_offsets(linux: &Linux) -> TimeOffsets {
    let offset = |clock: &str| {
        let oci = linux.time_offsets().as_ref()?.get(clock)?;
        Some(ClockOffset {
            seconds: oci.secs().unwrap_or_default(),
            nanoseconds: oci.nanosecs().unwrap_or_default(),
        })
    };
    TimeOffsets { monotonic: offset("monotonic"), boottime: offset("boottime") }
}
