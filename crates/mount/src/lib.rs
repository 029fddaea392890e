//! Mounts, root file systems and pivot_root, on descriptors instead of paths.
//!
//! A mount is made detached, as a descriptor ([`DetachedMount`]), gets its attributes, and is attached to a
//! target that is a descriptor, too. Targets inside a root file system are found by [`Rootfs`], which
//! resolves symbolic links as the container will see them and never leaves the root, whatever a hostile
//! image or a concurrent renaming does.
//!
//! # Without a container
//!
//! A [`DetachedMount`] is a directory tree that nobody else can see, with flags and owners of its own: open
//! files below its descriptor with openat(2), and it is gone when that is closed.
//!
//! ```no_run
//! use coracle_mount::{Attributes, DetachedMount, MountFlags};
//!
//! let mount = DetachedMount::copy_of_path("/srv/data", true)?;
//! let recursive_set = MountFlags::RDONLY | MountFlags::NOSUID;
//! Attributes { recursive_set, ..Attributes::default() }.apply_flags(&mount)?;
//! # Ok::<(), coracle_mount::Error>(())
//! ```
//!
//! `examples/id_mapped.rs` gives the files of a directory other owners.
//!
//! # What it needs
//!
//! `CAP_SYS_ADMIN` in the owner of the caller's mount namespace, and Linux 5.10. More is needed for:
//!
//! | | Linux | before |
//! |---|---|---|
//! | [`DetachedMount::map_ids`] | 5.12; a tmpfs 6.3, overlayfs 5.19 | an error that says so |
//! | [`Attributes::apply_flags`], [`Propagation::apply`] | 5.12 | mount(2), which wants the mount attached |
//! | [`MountFlags::NOSYMFOLLOW`] | 5.14 | mount(2), after the mount is attached |
//! | [`Rootfs::reconfigure`], [`Rootfs::remount`] | 5.10 | |
//! | values of [`Parameter`]s over 255 bytes | any | mount(2), into a place of its own |

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
mod removable;
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
