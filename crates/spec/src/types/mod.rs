//! The configuration of a container, typed:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md>.
//!
//! Fields have the names of the specification, in snake case; `type` is `kind`. What may be missing is
//! an [`Option`] only where missing and empty differ, and for single values: a list that is not given
//! is empty, a text in an [`Option`] never is. Names of the kernel, as those of capabilities and of
//! seccomp actions, stay texts that were checked. A later version of the specification adds fields, so
//! these types are made from documents only: see [`LoadedSpec`](crate::LoadedSpec).

mod hooks;
mod linux;
mod process;
mod resources;
mod seccomp;
mod text_list;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

pub use hooks::{Hook, Hooks};
pub use linux::{
    Device, IntelRdt, Linux, MemoryPolicy, Namespace, NamespaceType, NetDevice, NodeType,
    Personality, TimeOffset, TimeOffsets,
};
pub use process::{
    Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, Process, Rlimit, Scheduler, User,
};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma,
    Resources, RuleType, ThrottleDevice, WeightDevice,
};
pub use seccomp::{Seccomp, Syscall, SyscallArg};
pub use text_list::TextList;

/// The configuration of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Spec {
    /// The version of the specification that the document was written for.
    pub oci_version: String,
    /// The root filesystem.
    pub root: Root,
    /// What is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// What is run.
    pub process: Process,
    /// The host name in the container's UTS namespace.
    pub hostname: Option<String>,
    /// The domain name there.
    pub domainname: Option<String>,
    /// Programs run at points of the container's life.
    pub hooks: Hooks,
    /// What others want to remember about the container.
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    pub linux: Linux,
}

/// The root filesystem of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Root {
    /// Its directory; if relative, from that of the bundle.
    pub path: PathBuf,
    /// Whether the container can only read it.
    pub readonly: bool,
}

/// A mount in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Mount {
    /// The place in the container, absolute.
    pub destination: PathBuf,
    /// The `type`: that of the filesystem, or `bind`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// A name, a device or, of a bind mount, a path; that is relative to the bundle.
    pub source: Option<PathBuf>,
    /// Options of mount(8).
    pub options: Vec<String>,
    /// How user IDs on an ID-mapped mount differ from those of its source.
    pub uid_mappings: Vec<IdMapping>,
    /// The same for group IDs.
    pub gid_mappings: Vec<IdMapping>,
}

/// A range of user or group IDs and what it is outside; user_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IdMapping {
    /// The first ID in the container.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first ID on the host.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// The number of IDs.
    pub size: u32,
}
