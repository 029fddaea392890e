//! `/linux/resources`:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#control-groups>.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The limits of a container; cgroups(7).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Resources {
    /// What is written to the files of a cgroup v2, by their names.
    pub unified: BTreeMap<String, String>,
    /// Which devices may be used; a later rule prevails.
    pub devices: Vec<DeviceRule>,
    /// The number of processes.
    pub pids: Pids,
    /// Block devices.
    #[serde(rename = "blockIO")]
    pub block_io: BlockIo,
    /// Processor time, and which processors.
    pub cpu: Cpu,
    /// Huge pages, each size once.
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Memory.
    pub memory: Memory,
    /// How packets are marked.
    pub network: Network,
    /// Remote direct memory access, by the names of the devices.
    pub rdma: BTreeMap<String, Rdma>,
}

/// A rule about devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeviceRule {
    /// Whether access is allowed.
    pub allow: bool,
    /// The `type`.
    #[serde(rename = "type")]
    pub kind: RuleType,
    /// The major number; every one if not given.
    pub major: Option<u32>,
    /// The minor number; every one if not given.
    pub minor: Option<u32>,
    /// Letters of `rwm`: read, write, make a node. All if not given.
    pub access: Option<String>,
}

/// What devices a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum RuleType {
    /// `a`, every device.
    #[default]
    #[serde(rename = "a")]
    All,
    /// `b`, block devices.
    #[serde(rename = "b")]
    Block,
    /// `c`, character devices.
    #[serde(rename = "c")]
    Char,
}

/// The number of processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Pids {
    /// How many there may be; below 0, any number.
    pub limit: Option<i64>,
}

/// Shares and limits of block devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BlockIo {
    /// The share of each device, from 10 to 1000.
    pub weight: Option<u16>,
    /// The share of the container's own tasks beside its child cgroups.
    pub leaf_weight: Option<u16>,
    /// Shares of single devices.
    pub weight_device: Vec<WeightDevice>,
    /// Limits of reading, in bytes a second.
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Limits of writing, in bytes a second.
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Limits of reading, in operations a second.
    #[serde(rename = "throttleReadIOPSDevice")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Limits of writing, in operations a second.
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// A share of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WeightDevice {
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// As [`BlockIo::weight`].
    pub weight: Option<u16>,
    /// As [`BlockIo::leaf_weight`].
    pub leaf_weight: Option<u16>,
}

/// A limit of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ThrottleDevice {
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// Bytes or operations a second; 0 is no limit.
    pub rate: u64,
}

/// Processor time, and which processors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Cpu {
    /// The CPUs, as `0-3,7`.
    pub cpus: Option<String>,
    /// The memory nodes, as `0-3,7`.
    pub mems: Option<String>,
    /// Microseconds of a period; 0 is not set.
    pub period: Option<u64>,
    /// Microseconds of work in each period; below 0, no limit.
    pub quota: Option<i64>,
    /// Microseconds that may be saved up from earlier periods.
    pub burst: Option<u64>,
    /// Microseconds of a period, of real-time scheduling.
    pub realtime_period: Option<u64>,
    /// Microseconds of real-time work in each such period.
    pub realtime_runtime: Option<i64>,
    /// The share, relative to other cgroups; 1024 is usual.
    pub shares: Option<u64>,
    /// 1 to run only where nothing else wants to.
    pub idle: Option<i64>,
}

/// A limit of huge pages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HugepageLimit {
    /// The size of the pages, as `2MB`.
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// Memory, in bytes; -1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Memory {
    /// What may be used.
    pub limit: Option<i64>,
    /// What the kernel tries to leave to the container.
    pub reservation: Option<i64>,
    /// What may be used of memory and swap together.
    pub swap: Option<i64>,
    /// What the kernel may use for the container; current kernels ignore it.
    pub kernel: Option<i64>,
    /// What buffers of TCP may use; current kernels ignore it.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// How readily memory is swapped out, from 0 to 100.
    pub swappiness: Option<u64>,
    /// Whether to wait instead of being killed when memory is out.
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// Whether child cgroups count; they always do now.
    pub use_hierarchy: Option<bool>,
    /// Whether a later limit below what is in use is refused.
    pub check_before_update: bool,
}

/// How packets are marked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Network {
    /// The class that a traffic shaper sees.
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    /// Priorities of the host's interfaces.
    pub priorities: Vec<InterfacePriority>,
}

/// The priority of packets on an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InterfacePriority {
    /// The interface.
    pub name: String,
    /// The priority.
    pub priority: u32,
}

/// Remote direct memory access by one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Rdma {
    /// How many handles there may be.
    pub hca_handles: Option<u32>,
    /// How many objects there may be.
    pub hca_objects: Option<u32>,
}
