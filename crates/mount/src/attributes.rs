//! The flags and the propagation of mounts; see mount_setattr(2) and mount_namespaces(7).

use std::os::fd::AsFd;

use bitflags::bitflags;
use coracle_sys::mount_attr::{MountAttr, mount_setattr};
use coracle_sys::{Errno, SyscallError};
use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::mount::{MountAttrFlags, MountPropagationFlags};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, legacy};

bitflags! {
    /// Flags of one mount: the `MOUNT_ATTR_*` of mount_setattr(2).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct MountFlags: u64 {
        /// Nothing can be written.
        const RDONLY = 0x1;
        /// Set-user-id bits and file capabilities have no effect.
        const NOSUID = 0x2;
        /// Device files do not open.
        const NODEV = 0x4;
        /// Programs cannot be executed.
        const NOEXEC = 0x8;
        /// Access times are not updated.
        const NOATIME = 0x10;
        /// Access times are updated at each access.
        const STRICTATIME = 0x20;
        /// The access-time setting whole: to be cleared before one is set.
        const ATIME = 0x70;
        /// Access times of directories are not updated.
        const NODIRATIME = 0x80;
        /// Symbolic links are not followed. Linux 5.14.
        const NOSYMFOLLOW = 0x20_0000;
    }
}

/// Not known to rustix.
const ST_NOSYMFOLLOW: StatVfsMountFlags = StatVfsMountFlags::from_bits_retain(0x2000);

impl MountFlags {
    /// The flags of the mount at `fd`. It counts as read-only, too, if its file system is.
    pub(crate) fn of(fd: impl AsFd) -> Result<Self, SyscallError> {
        let found =
            fstatvfs(fd).map_err(|errno| SyscallError::new("fstatvfs", "mount", errno))?.f_flag;
        let known = [
            (StatVfsMountFlags::RDONLY, Self::RDONLY),
            (StatVfsMountFlags::NOSUID, Self::NOSUID),
            (StatVfsMountFlags::NODEV, Self::NODEV),
            (StatVfsMountFlags::NOEXEC, Self::NOEXEC),
            (StatVfsMountFlags::NOATIME, Self::NOATIME),
            (StatVfsMountFlags::NODIRATIME, Self::NODIRATIME),
            (ST_NOSYMFOLLOW, Self::NOSYMFOLLOW),
        ];
        let flags: Self =
            known.into_iter().filter(|(flag, _)| found.contains(*flag)).map(|(_, it)| it).collect();
        let strict = !found.intersects(StatVfsMountFlags::NOATIME | StatVfsMountFlags::RELATIME);
        Ok(if strict { flags | Self::STRICTATIME } else { flags })
    }

    pub(crate) fn to_rustix(self) -> MountAttrFlags {
        // The bits are the kernel's on both sides, and fit.
        MountAttrFlags::from_bits_retain(u32::try_from(self.bits()).unwrap_or_default())
    }
}

/// Whether mounts below pass between copies of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// How.
    pub kind: PropagationKind,
    /// For the mounts below, too.
    pub recursive: bool,
}

/// The propagation types of mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PropagationKind {
    /// Both ways.
    Shared,
    /// From the original only.
    Slave,
    /// Not at all.
    Private,
    /// Not at all, and it cannot be bind-mounted.
    Unbindable,
}

impl PropagationKind {
    /// The words of mount(8).
    pub(crate) const NAMES: [&str; 4] = ["shared", "slave", "private", "unbindable"];
    const ALL: [Self; 4] = [Self::Shared, Self::Slave, Self::Private, Self::Unbindable];
}

impl Propagation {
    /// Mounts of the host still appear, ours do not reach the host.
    pub const RECURSIVE_SLAVE: Self = Self { kind: PropagationKind::Slave, recursive: true };

    /// The word of mount(8), as `rslave`.
    pub fn named(name: &str) -> Option<Self> {
        let (recursive, rest) = match name.strip_prefix('r') {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let index = PropagationKind::NAMES.iter().position(|name| *name == rest)?;
        Some(Self { kind: PropagationKind::ALL[index], recursive })
    }

    fn flag(self) -> MountPropagationFlags {
        match self.kind {
            PropagationKind::Shared => MountPropagationFlags::SHARED,
            PropagationKind::Slave => MountPropagationFlags::DOWNSTREAM,
            PropagationKind::Private => MountPropagationFlags::PRIVATE,
            PropagationKind::Unbindable => MountPropagationFlags::UNBINDABLE,
        }
    }

    /// Gives the mount at `fd` this propagation.
    pub fn apply(self, fd: impl AsFd) -> Result<()> {
        let attr = MountAttr { propagation: self.flag().bits().into(), ..MountAttr::default() };
        match mount_setattr(&fd, self.recursive, &attr) {
            Err(error) if error.errno() == Errno::NOSYS => {
                let mut flags = self.flag();
                flags.set(MountPropagationFlags::REC, self.recursive);
                legacy::set_propagation(fd.as_fd(), flags)
            }
            result => result,
        }
        .map_err(Error::Attributes)
    }
}

/// What shall be changed on a mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Raised on the mount itself.
    pub set: MountFlags,
    /// Lowered on the mount itself.
    pub clear: MountFlags,
    /// Raised on the mount and all below it.
    pub recursive_set: MountFlags,
    /// Lowered on the mount and all below it.
    pub recursive_clear: MountFlags,
    /// Applied in this order.
    pub propagation: Vec<Propagation>,
}

impl Attributes {
    /// Changes the flags of the mount at `fd`, not its propagation.
    ///
    /// Before Linux 5.12 the mount must be attached to the caller's mount namespace, and what is to be changed
    /// below it must not be covered by other mounts.
    pub fn apply_flags(&self, fd: impl AsFd) -> Result<()> {
        match self.set_flags(&fd) {
            Err(error) if self.are_new_to(&error) => legacy::set_flags(fd.as_fd(), self),
            result => result,
        }
        .map_err(Error::Attributes)
    }

    /// Is the kernel too old to do it with mount_setattr(2)?
    pub(crate) fn are_new_to(&self, error: &SyscallError) -> bool {
        let flags = self.set | self.clear | self.recursive_set | self.recursive_clear;
        match error.errno() {
            Errno::NOSYS => true,
            Errno::INVAL => flags.contains(MountFlags::NOSYMFOLLOW),
            _ => false,
        }
    }

    /// The same by mount_setattr(2) only, which older kernels lack.
    pub(crate) fn set_flags(&self, fd: impl AsFd) -> Result<(), SyscallError> {
        let passes =
            [(false, self.set, self.clear), (true, self.recursive_set, self.recursive_clear)];
        for (recursive, set, clear) in passes {
            if !(set | clear).is_empty() {
                let attr =
                    MountAttr { set: set.bits(), clear: clear.bits(), ..MountAttr::default() };
                mount_setattr(&fd, recursive, &attr)?;
            }
        }
        Ok(())
    }

    /// Changes the propagation of the mount at `fd`.
    pub fn apply_propagation(&self, fd: impl AsFd) -> Result<()> {
        self.propagation.iter().try_for_each(|propagation| propagation.apply(&fd))
    }
}
