//! Shares of processor caches and memory bandwidth, and how much of them is used: Intel RDT, and the same of
//! AMD and Arm, by the kernel's resctrl file system.
//!
//! A [`Group`] is a class of service: its processes may use the parts of the caches and the bandwidth that
//! its schemata say. It can have monitoring groups, which count what some of its processes use.
//!
//! ```no_run
//! # fn main() -> Result<(), coracle_rdt::Error> {
//! let resctrl = coracle_rdt::Resctrl::discover()?;
//! let group = resctrl.group("batch");
//! group.create()?;
//! group.set(&["L3:0=f", "MB:0=20"])?;
//! group.add(std::process::id())?;
//! # Ok(())
//! # }
//! ```
//!
//! Source: the kernel's `Documentation/filesystems/resctrl.rst`. Needs Linux 4.10 (bandwidth: 4.12,
//! monitoring: 4.14), a processor that can do it, and root.

#![forbid(unsafe_code)]

mod error;
mod group;
mod resctrl;
mod schemata;
mod stats;

pub use error::{Error, Result};
pub use group::Group;
pub use resctrl::Resctrl;
pub use stats::{BandwidthInfo, CacheInfo, DomainStats, Stats};
