//! What a runtime can do, as a document that engines ask for:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/features.md>.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a runtime can do. Nearly all of it holds on any host: it is about the runtime, not the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// The oldest version of the specification whose documents are accepted.
    pub oci_version_min: String,
    /// The newest.
    pub oci_version_max: String,
    /// The points of a container's life with hooks; see [`Hooks::NAMES`](crate::types::Hooks::NAMES).
    pub hooks: Vec<String>,
    /// The words of `/mounts/*/options` that the runtime itself understands.
    pub mount_options: Vec<String>,
    /// What only Linux has.
    pub linux: LinuxFeatures,
    /// What the runtime tells of itself, by names of its own.
    pub annotations: BTreeMap<String, String>,
    /// The annotations of a configuration with which its author could change the host.
    pub potentially_unsafe_config_annotations: Vec<String>,
}

/// What only Linux has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxFeatures {
    /// The types of namespaces.
    pub namespaces: Vec<String>,
    /// The names of capabilities.
    pub capabilities: Vec<String>,
    /// How cgroups are managed.
    pub cgroup: CgroupFeatures,
    /// Filters of system calls.
    pub seccomp: SeccompFeatures,
    /// Whether `/process/apparmorProfile` is applied.
    pub apparmor: Enabled,
    /// Whether the labels of processes and mounts are applied.
    pub selinux: Enabled,
    /// Shares of caches and memory bandwidth.
    pub intel_rdt: IntelRdtFeatures,
    /// Which NUMA nodes memory comes from; nothing if the runtime cannot choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicyFeatures>,
    /// What mounts can have besides options.
    pub mount_extensions: MountExtensions,
    /// Whether network interfaces are moved into the container.
    pub net_devices: Enabled,
}

/// Whether the runtime has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Enabled {
    /// It has.
    pub enabled: bool,
}

impl From<bool> for Enabled {
    fn from(enabled: bool) -> Self {
        Self { enabled }
    }
}

/// How cgroups are managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFeatures {
    /// On hosts with version 1.
    pub v1: bool,
    /// On hosts with version 2.
    pub v2: bool,
    /// By the systemd of the system.
    pub systemd: bool,
    /// By the systemd of a user.
    pub systemd_user: bool,
    /// With limits of the rdma controller.
    pub rdma: bool,
}

/// Filters of system calls; the lists have the names of configurations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompFeatures {
    /// Whether there are any.
    pub enabled: bool,
    /// What can happen to a call.
    pub actions: Vec<String>,
    /// How arguments are compared.
    pub operators: Vec<String>,
    /// The architectures that a filter can be made for.
    pub archs: Vec<String>,
    /// The flags that the runtime knows.
    pub known_flags: Vec<String>,
    /// Those that this kernel knows, too.
    pub supported_flags: Vec<String>,
}

/// Shares of caches and memory bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IntelRdtFeatures {
    /// Whether there are any.
    pub enabled: bool,
    /// Whether `/linux/intelRdt/schemata` is.
    pub schemata: bool,
    /// Whether `/linux/intelRdt/enableMonitoring` is.
    pub monitoring: bool,
}

/// Which NUMA nodes memory comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MemoryPolicyFeatures {
    /// As `MPOL_BIND`.
    pub modes: Vec<String>,
    /// As `MPOL_F_STATIC_NODES`.
    pub flags: Vec<String>,
}

/// What mounts can have besides options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MountExtensions {
    /// Whether `uidMappings` and `gidMappings` of mounts are.
    pub idmap: Enabled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_keys_of_the_specification() {
        let linux = LinuxFeatures {
            memory_policy: Some(MemoryPolicyFeatures::default()),
            ..LinuxFeatures::default()
        };
        let document = serde_json::to_value(Features { linux, ..Features::default() }).unwrap();
        for pointer in [
            "/ociVersionMin",
            "/ociVersionMax",
            "/mountOptions",
            "/linux/cgroup/systemdUser",
            "/linux/seccomp/knownFlags",
            "/linux/seccomp/supportedFlags",
            "/linux/intelRdt/enabled",
            "/linux/memoryPolicy/modes",
            "/linux/mountExtensions/idmap/enabled",
            "/linux/netDevices/enabled",
            "/potentiallyUnsafeConfigAnnotations",
        ] {
            assert!(document.pointer(pointer).is_some(), "{pointer} is missing in {document}");
        }
    }
}
