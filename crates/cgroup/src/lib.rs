//! Linux control groups: limit, freeze, kill and account for sets of processes, on hosts with
//! cgroup v2, v1 or both.
//!
//! It works through the cgroup filesystems and needs no container: any program can put its children
//! into a cgroup. Where systemd shall know of it, [`SystemdManager`] makes it as a unit.
//!
//! ```no_run
//! use std::process::Command;
//! use std::time::Duration;
//!
//! use coracle_cgroup::{Cgroup, CgroupPath, CgroupRoot, Memory, Permissions, Resources};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Create.
//! let root = CgroupRoot::discover()?;
//! let path = CgroupPath::new("/builds/42")?;
//! let cgroup = Cgroup::create(&root, &path, Permissions::Required)?;
//!
//! // Limit: half a gigabyte, no swap, 100 processes.
//! let memory = Memory { limit: Some(512 << 20), swap: Some(512 << 20), ..Memory::default() };
//! let limits = Resources { memory, pids: Some(100), ..Resources::default() };
//! for skipped in cgroup.set(&limits, Permissions::Required)? {
//!     eprintln!("warning: {skipped}");
//! }
//!
//! // Run.
//! let mut build = Command::new("make").spawn()?;
//! cgroup.add(build.id())?;
//! build.wait()?;
//!
//! // Look, end what is left, remove.
//! if let Some(memory) = cgroup.stats()?.memory {
//!     println!("{} bytes in use", memory.usage.current);
//! }
//! cgroup.kill(Duration::from_secs(10))?;
//! cgroup.remove(Duration::from_secs(1))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where a cgroup is
//!
//! [`CgroupRoot`] knows the hierarchies of the host and [`CgroupPath`] a place in them. A
//! [`Cgroup`] is one directory in each hierarchy, handled as one thing: on a host with v2 alone
//! ([`Mode::Unified`]) that is one directory, on a hybrid host one for each v1 hierarchy and one of
//! v2, whose controllers are used where v1 has none. What [`Cgroup::paths`] returns can be written
//! down, and [`Cgroup::open`] finds the cgroup again in another process.
//!
//! # From the first instruction
//!
//! With [`Cgroup::add`] a process has run a little before it is in the cgroup, and the kernel stops
//! the forks of the whole host to move it. To start a process inside, have a launcher use
//! [`Cgroup::entry`]: `CLONE_INTO_CGROUP` on v2, and on v1 the new process itself writes `0` to
//! each of the descriptors before it does anything else.
//!
//! # Waiting
//!
//! [`Cgroup::watch_oom`] tells when memory runs out, [`Cgroup::watch_pressure`] when processes wait too
//! long for a processor, memory or devices, [`Cgroup::watch_empty`] when the last one has ended. Each is a
//! descriptor for poll(2) or an event loop; nothing here starts a thread. With tokio:
//!
//! ```ignore
//! let mut oom = AsyncFd::new(cgroup.watch_oom()?.ok_or("no memory controller")?)?;
//! loop {
//!     let mut guard = oom.readable_mut().await?;
//!     println!("memory ran out, {} time(s)", guard.get_inner_mut().take()?);
//!     guard.clear_ready();
//! }
//! ```
//!
//! `examples/limits.rs` of the repository is a whole asynchronous program, `examples/watch.rs` of this crate
//! one without a runtime.
//!
//! # Units
//!
//! Memory is in bytes, processor time in microseconds where it is a limit ([`Cpu`]) and a
//! [`Duration`](std::time::Duration) where it is a statistic; rates of devices are bytes or operations a
//! second. -1 is no limit. Each field says its own.
//!
//! # Without root
//!
//! A user to whom a v2 cgroup was delegated can do everything below it except for
//! [`Resources::devices`]. With [`Permissions::BestEffort`] whatever is not permitted is left out
//! and reported, down to a cgroup that exists in no hierarchy; the default for a security limit
//! should be [`Permissions::Required`].
//!
//! # Kernels
//!
//! Linux 5.10 or later. `cgroup.kill` (5.14), `tasks` without a global lock (5.14), burst (5.14)
//! and idle (5.15) are used where they are.

#![forbid(unsafe_code)]

mod cgroup;
mod convert;
mod create;
mod devices;
mod dir;
mod error;
mod events;
mod freeze;
mod journal;
mod kill;
mod member;
mod mountinfo;
mod path;
mod remove;
mod resources;
mod root;
mod set;
mod stats;
mod systemd;
mod update;
mod v1;
mod v2;
mod walk;

pub use cgroup::{Cgroup, Entry, Permissions, Skipped};
pub use devices::{DeviceAccess, DeviceKind, DeviceRule, default_device_rules};
pub use error::{Error, Result};
pub use events::{EmptyWatch, OomWatch, PressureKind, PressureTrigger, PressureWatch};
pub use path::CgroupPath;
pub use resources::{
    BlockIo, Cpu, HugePages, Memory, Network, Rdma, Resources, ThrottleDevice, WeightDevice,
};
pub use root::{CgroupPaths, CgroupRoot, Hierarchy, Mode};
pub use stats::{
    BlockIoStats, CpuStats, CpuTime, CpusetFlags, CpusetStats, DeviceIo, HugePageStats,
    HugePageUsage, IoCounts, MemoryStats, MemoryUsage, PidsStats, Pressure, QueueIo, RdmaStats,
    Stall, Stats, Throttling,
};
pub use systemd::{BusError, SystemdManager, SystemdUnit};
