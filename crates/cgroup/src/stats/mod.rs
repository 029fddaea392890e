//! What a cgroup uses and has used.

mod block_io;
mod cpu;
mod cpuset;
mod files;
mod huge_pages;
mod memory;
mod pids;
mod pressure;
mod rdma;

use std::collections::BTreeMap;

use crate::{Cgroup, Result};

pub use block_io::{BlockIoStats, DeviceIo, IoCounts, QueueIo};
pub use cpu::{CpuStats, CpuTime, Throttling};
pub use cpuset::{CpusetFlags, CpusetStats};
pub(crate) use files::value;
pub use huge_pages::{HugePageStats, HugePageUsage};
pub use memory::{MemoryStats, MemoryUsage};
pub use pids::PidsStats;
pub use pressure::{Pressure, Stall};
pub use rdma::RdmaStats;

/// What the processes of a cgroup, and of those below it, use and have used.
///
/// What the host does not account for is `None`, or empty: because the controller is missing, or the
/// kernel is older than the number. Numbers of different files are not of quite the same moment.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Processor time.
    pub cpu: Option<CpuStats>,
    /// Which processors and memory nodes there are for it.
    pub cpuset: Option<CpusetStats>,
    /// Memory and swap.
    pub memory: Option<MemoryStats>,
    /// Processes and threads.
    pub pids: Option<PidsStats>,
    /// What was read from and written to block devices.
    pub block_io: Option<BlockIoStats>,
    /// Huge pages by their size as the kernel writes it: `64KB`, `2MB`, `1GB`.
    pub huge_pages: BTreeMap<String, HugePageStats>,
    /// What is taken of RDMA devices, by the name of the device.
    pub rdma: BTreeMap<String, RdmaStats>,
}

impl Cgroup {
    /// Reads what the cgroup uses. Needs no privilege.
    ///
    /// Three system calls for each file: about 25 files on v2, 50 on v1.
    /// [`Error::Gone`](crate::Error::Gone) if the cgroup was removed.
    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats {
            cpu: cpu::read(self)?,
            cpuset: cpuset::read(self)?,
            memory: memory::read(self)?,
            pids: pids::read(self)?,
            block_io: block_io::read(self)?,
            huge_pages: huge_pages::read(self)?,
            rdma: rdma::read(self)?,
        })
    }
}
