//! `/linux`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md>.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{IdMapping, Resources, Seccomp};

/// What only Linux has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Linux {
    /// Device nodes besides those that every container has.
    pub devices: Vec<Device>,
    /// Network interfaces that move from the host into the container, by their name on the host.
    pub net_devices: BTreeMap<String, NetDevice>,
    /// The user IDs of a new user namespace.
    pub uid_mappings: Vec<IdMapping>,
    /// Its group IDs.
    pub gid_mappings: Vec<IdMapping>,
    /// The namespaces that are not the host's, each once.
    pub namespaces: Vec<Namespace>,
    /// Limits.
    pub resources: Resources,
    /// The cgroup. A runtime chooses if it is not given.
    pub cgroups_path: Option<PathBuf>,
    /// How mounts pass between the root filesystem and the host, as `rslave`.
    pub rootfs_propagation: Option<String>,
    /// Which system calls are allowed.
    pub seccomp: Option<Seccomp>,
    /// Kernel parameters of the container's namespaces; see [`sysctl_path`](crate::sysctl_path).
    pub sysctl: BTreeMap<String, String>,
    /// Paths in the container that cannot be read.
    pub masked_paths: Vec<PathBuf>,
    /// Paths in the container that cannot be written.
    pub readonly_paths: Vec<PathBuf>,
    /// The SELinux label of the container's mounts.
    pub mount_label: Option<String>,
    /// Shares of caches and memory bandwidth.
    pub intel_rdt: Option<IntelRdt>,
    /// Which NUMA nodes memory comes from.
    pub memory_policy: Option<MemoryPolicy>,
    /// Which system the kernel appears to be.
    pub personality: Option<Personality>,
    /// The clocks of a new time namespace.
    pub time_offsets: TimeOffsets,
}

/// A device node; mknod(2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Device {
    /// The `type`.
    #[serde(rename = "type")]
    pub kind: NodeType,
    /// The place in the container, absolute.
    pub path: PathBuf,
    /// The major number; a pipe has none.
    #[serde(default)]
    pub major: u32,
    /// The minor number.
    #[serde(default)]
    pub minor: u32,
    /// The permissions. Other bits of `st_mode` may be set, too.
    pub file_mode: Option<u32>,
    /// The owner, as the container sees it.
    #[serde(default)]
    pub uid: u32,
    /// The group, as the container sees it.
    #[serde(default)]
    pub gid: u32,
}

/// What a device node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum NodeType {
    /// `b`, a block device.
    #[serde(rename = "b")]
    Block,
    /// `c`, a character device, or `u`, an unbuffered one, which is the same on Linux.
    #[serde(rename = "c", alias = "u")]
    Char,
    /// `p`, a named pipe.
    #[serde(rename = "p")]
    Fifo,
}

/// What happens to a network interface that moves into a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NetDevice {
    /// Its name there, if another than on the host.
    pub name: Option<String>,
}

/// A namespace that is not the host's; namespaces(7).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Namespace {
    /// The `type`.
    #[serde(rename = "type")]
    pub kind: NamespaceType,
    /// The file of an existing namespace, to join it. Without one, a new namespace is made.
    pub path: Option<PathBuf>,
}

/// What a namespace is about; namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "namespaces(7) says what each one is about")]
pub enum NamespaceType {
    Pid,
    Network,
    Mount,
    Ipc,
    Uts,
    User,
    Cgroup,
    Time,
}

/// Shares of caches and memory bandwidth, by the kernel's resctrl filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IntelRdt {
    /// The name of the group; the container's ID if not given.
    #[serde(rename = "closID")]
    pub clos_id: Option<String>,
    /// Lines for the file `schemata`.
    pub schemata: Vec<String>,
    /// A line for the level 3 cache.
    pub l3_cache_schema: Option<String>,
    /// A line for memory bandwidth, as `MB:0=20`.
    pub mem_bw_schema: Option<String>,
    /// Whether the container gets a monitoring group of its own.
    pub enable_monitoring: bool,
    /// Whether cache use is monitored; of version 1.2.
    #[serde(rename = "enableCMT")]
    pub enable_cmt: bool,
    /// Whether memory bandwidth is monitored; of version 1.2.
    #[serde(rename = "enableMBM")]
    pub enable_mbm: bool,
}

/// Which NUMA nodes memory comes from; set_mempolicy(2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MemoryPolicy {
    /// As `MPOL_BIND`.
    pub mode: String,
    /// The nodes, as `0-3,7`.
    pub nodes: Option<String>,
    /// As `MPOL_F_STATIC_NODES`.
    pub flags: Vec<String>,
}

impl MemoryPolicy {
    /// The modes of set_mempolicy(2).
    pub const MODES: [&str; 7] = [
        "MPOL_DEFAULT",
        "MPOL_BIND",
        "MPOL_INTERLEAVE",
        "MPOL_WEIGHTED_INTERLEAVE",
        "MPOL_PREFERRED",
        "MPOL_PREFERRED_MANY",
        "MPOL_LOCAL",
    ];
    /// Its flags.
    pub const FLAGS: [&str; 3] =
        ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];
}

/// Which system the kernel appears to be; personality(2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Personality {
    /// `LINUX` or `LINUX32`.
    pub domain: String,
    /// Flags; the specification names none.
    pub flags: Vec<String>,
}

/// How the clocks of a new time namespace differ from the host's; time_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TimeOffsets {
    /// Of `CLOCK_BOOTTIME`.
    pub boottime: Option<TimeOffset>,
    /// Of `CLOCK_MONOTONIC`.
    pub monotonic: Option<TimeOffset>,
}

/// The sum of both fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TimeOffset {
    /// Seconds.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanosecs: u32,
}
