//! Mounts, root file systems and pivot_root, on descriptors instead of paths.
//!
//! A mount is made detached, as a descriptor ([`DetachedMount`]), gets its attributes, and is attached to a
//! target that is a descriptor, too. Targets inside a root file system are found by [`Rootfs`], which
//! resolves symbolic links as the container will see them and never leaves the root, whatever a hostile
//! image or a concurrent renaming does.
//!
//! Needs Linux 5.10 and `CAP_SYS_ADMIN` in the owner of the caller's mount namespace.

#![forbid(unsafe_code)]

mod anchors;
mod attributes;
mod cgroupfs;
mod classic;
mod console;
mod copy_up;
mod detached;
mod devices;
mod error;
mod fscontext;
mod inroot;
mod legacy;
mod mask;
mod mountinfo;
mod options;
mod pivot;
mod remount;
mod rootfs;
mod sysctl;

pub use attributes::{Attributes, MountFlags, Propagation, PropagationKind};
pub use cgroupfs::{CgroupMount, CgroupV1Entry};
pub use detached::DetachedMount;
pub use devices::{DeviceKind, DeviceNode};
pub use error::{Error, Result};
pub use fscontext::{Filesystem, Parameter};
pub use inroot::{Leaf, Target};
pub use mask::Masks;
pub use options::{IdMapOption, MountOptions, SourceLink};
pub use rootfs::Rootfs;
pub use sysctl::write_sysctl;
