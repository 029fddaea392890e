//! Linux control groups: v2, v1 and hybrid hosts.

#![forbid(unsafe_code)]

mod cgroup;
mod convert;
mod create;
mod devices;
mod dir;
mod error;
mod freeze;
mod kill;
mod mountinfo;
mod path;
mod remove;
mod resources;
mod root;
mod set;
mod stats;
mod v1;
mod v2;
mod walk;

pub use cgroup::{Cgroup, Entry, Permissions, Skipped};
pub use devices::{DeviceAccess, DeviceKind, DeviceRule, default_device_rules};
pub use error::{Error, Result};
pub use path::CgroupPath;
pub use resources::{
    BlockIo, Cpu, HugePages, Memory, Network, Rdma, Resources, ThrottleDevice, WeightDevice,
};
pub use root::{CgroupPaths, CgroupRoot, Hierarchy, Mode};
pub use stats::Stats;
