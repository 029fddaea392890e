//! Which devices the processes of a cgroup may use: a controller of v1, a program on v2.

mod asm;
mod attach;
mod emulate;
mod rule;

pub(crate) use asm::assemble;
pub(crate) use attach::replace;
pub(crate) use emulate::{Devices, Policy};
pub use rule::{DeviceAccess, DeviceKind, DeviceRule, default_device_rules};
