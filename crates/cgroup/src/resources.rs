//! What can be limited, in the units of the OCI runtime specification (config-linux.md).
//!
//! One vocabulary for both versions: v1's. Where v2 counts otherwise, values are converted as
//! runc does. Every field that is `None` or empty is left as it is.

use std::collections::BTreeMap;

use crate::DeviceRule;

/// Limits to set on a cgroup. Fill what is wanted and take the rest from `Default`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    /// Memory and swap.
    pub memory: Memory,
    /// Processor time and placement.
    pub cpu: Cpu,
    /// The most processes and threads, together: -1 is no limit, 0 counts as 1.
    pub pids: Option<i64>,
    /// Block devices.
    pub block_io: BlockIo,
    /// Huge pages, by size.
    pub huge_pages: Vec<HugePages>,
    /// Marks on packets; v1 only.
    pub network: Network,
    /// Handles and objects of RDMA devices, by the device's name.
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of a v2 cgroup and what to write to them, as they are; set last. Several lines are
    /// written one by one.
    pub unified: BTreeMap<String, String>,
    /// Which devices may be used, in order: a later rule wins. An empty list leaves the devices
    /// as they are; any other list starts from what the kernel starts from, everything allowed.
    pub devices: Vec<DeviceRule>,
}

/// Limits of memory, in bytes. -1 is no limit; 0 counts as not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The hard limit: `memory.max`, `memory.limit_in_bytes`.
    pub limit: Option<i64>,
    /// What the kernel tries to leave the cgroup: `memory.low`, `memory.soft_limit_in_bytes`.
    pub reservation: Option<i64>,
    /// The limit of memory and swap together. On v2 the part above `limit` goes to
    /// `memory.swap.max`; without swap accounting, no limit and no swap count as set.
    pub swap: Option<i64>,
    /// How eagerly to swap, 0 to 100; v1 only.
    pub swappiness: Option<u64>,
    /// Let processes wait for memory rather than kill one; v1 only.
    pub disable_oom_killer: Option<bool>,
    /// Refuse a limit that is below what is in use. v1 refuses it in any case.
    pub check_before_update: bool,
}

/// Processor time. Times are in microseconds; 0 counts as not set, except for `burst` and `idle`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpu {
    /// The relative weight, 2 to 262144; 1024 is a fair share. `cpu.weight` on v2.
    pub shares: Option<u64>,
    /// How long the cgroup may run in each period; -1 is no limit.
    pub quota: Option<i64>,
    /// The period of `quota`; the kernel's default is 100000.
    pub period: Option<u64>,
    /// What unused quota may be saved up (Linux 5.14).
    pub burst: Option<u64>,
    /// Real-time runtime in each real-time period; v1 only.
    pub realtime_runtime: Option<i64>,
    /// The real-time period; v1 only.
    pub realtime_period: Option<u64>,
    /// The processors, such as `0-2,7`.
    pub cpus: String,
    /// The memory nodes, such as `0,1`.
    pub mems: String,
    /// 1: run only when nothing else wants to (Linux 5.15); 0: as usual.
    pub idle: Option<i64>,
}

impl Cpu {
    /// Whether something is asked of the controller `cpu`; places belong to `cpuset`.
    pub(crate) fn has_time(&self) -> bool {
        let time = Self { cpus: String::new(), mems: String::new(), ..self.clone() };
        time != Self::default()
    }
}

/// Limits of block devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockIo {
    /// The relative weight, 10 to 1000; 0 counts as not set.
    pub weight: Option<u16>,
    /// The weight of the cgroup's own processes against its sub-cgroups; v1 only.
    pub leaf_weight: Option<u16>,
    /// Weights for single devices.
    pub weight_device: Vec<WeightDevice>,
    /// Bytes read per second.
    pub throttle_read_bps: Vec<ThrottleDevice>,
    /// Bytes written per second.
    pub throttle_write_bps: Vec<ThrottleDevice>,
    /// Reads per second.
    pub throttle_read_iops: Vec<ThrottleDevice>,
    /// Writes per second.
    pub throttle_write_iops: Vec<ThrottleDevice>,
}

/// The weight of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightDevice {
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// As [`BlockIo::weight`].
    pub weight: Option<u16>,
    /// As [`BlockIo::leaf_weight`].
    pub leaf_weight: Option<u16>,
}

/// The rate limit of one block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleDevice {
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Bytes or operations per second; 0 is no limit.
    pub rate: u64,
}

/// The limit of huge pages of one size. The reservations have the same limit where the kernel
/// counts them (Linux 5.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HugePages {
    /// The size as the kernel writes it: `2MB`, `1GB`, `64KB`.
    pub page_size: String,
    /// The limit in bytes.
    pub limit: u64,
}

/// Marks on the packets of the processes; v1 only, a firewall does it on v2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// The class of net_cls; 0 counts as not set.
    pub class_id: Option<u32>,
    /// The priority on each network interface, by its name.
    pub priorities: BTreeMap<String, u32>,
}

/// The limits of one RDMA device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rdma {
    /// The most handles.
    pub hca_handles: Option<u32>,
    /// The most objects.
    pub hca_objects: Option<u32>,
}
