//! `/linux/namespaces` and what belongs to it.

use std::path::PathBuf;

use coracle_init::plan::NamespacesPlan;
use coracle_ns::idmap::{IdMap, IdMapping};
use coracle_ns::{ClockOffset, NamespaceKind, TimeOffsets};
use coracle_spec::types::{self, Linux, NamespaceType};
use coracle_spec::{Spec, sysctl_path};

use super::invalid;
use crate::Result;

pub(super) fn lower(spec: &Spec) -> Result<(NamespacesPlan, Vec<(NamespaceKind, PathBuf)>)> {
    let linux = &spec.linux;
    let mut plan = NamespacesPlan::default();
    let mut join = Vec::new();
    for namespace in &linux.namespaces {
        let kind = kind(namespace.kind);
        match &namespace.path {
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
        plan.uid_map = id_map(&linux.uid_mappings);
        plan.gid_map = id_map(&linux.gid_mappings);
        if plan.uid_map.is_empty() || plan.gid_map.is_empty() {
            let message = "a new user namespace needs /linux/uidMappings and /linux/gidMappings";
            return Err(invalid("/linux/namespaces", message));
        }
    }
    plan.time_offsets = time_offsets(linux.time_offsets);
    plan.hostname = spec.hostname.clone();
    plan.domainname = spec.domainname.clone();
    plan.sysctls = sysctls(linux)?;
    Ok((plan, join))
}

fn sysctls(linux: &Linux) -> Result<Vec<(String, String)>> {
    let path = |(name, value): (&String, &String)| {
        let pointer = format!("/linux/sysctl/{name}");
        let path = sysctl_path(name).ok_or_else(|| invalid(pointer, "is no kernel parameter"))?;
        Ok((path, value.clone()))
    };
    let mut sysctls = linux.sysctl.iter().map(path).collect::<Result<Vec<_>>>()?;
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

fn kind(oci: NamespaceType) -> NamespaceKind {
    match oci {
        NamespaceType::Mount => NamespaceKind::Mount,
        NamespaceType::Cgroup => NamespaceKind::Cgroup,
        NamespaceType::Uts => NamespaceKind::Uts,
        NamespaceType::Ipc => NamespaceKind::Ipc,
        NamespaceType::User => NamespaceKind::User,
        NamespaceType::Pid => NamespaceKind::Pid,
        NamespaceType::Network => NamespaceKind::Net,
        NamespaceType::Time => NamespaceKind::Time,
    }
}

pub(super) fn id_map(mappings: &[types::IdMapping]) -> IdMap {
    let mapping = |oci: &types::IdMapping| IdMapping {
        inside: oci.container_id,
        outside: oci.host_id,
        count: oci.size,
    };
    IdMap(mappings.iter().map(mapping).collect())
}

fn time_offsets(oci: types::TimeOffsets) -> TimeOffsets {
    let offset =
        |oci: types::TimeOffset| ClockOffset { seconds: oci.secs, nanoseconds: oci.nanosecs };
    TimeOffsets { monotonic: oci.monotonic.map(offset), boottime: oci.boottime.map(offset) }
}
