//! mount_setattr(2) and open_tree_attr(2): the properties of mounts, by descriptor, whole trees at once.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

/// What to change on a mount: flags to set, flags to clear, propagation, id mapping.
///
/// The flags are the `MOUNT_ATTR_*` of mount_setattr(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttr<'fd> {
    /// Flags to raise.
    pub set: u64,
    /// Flags to lower; a change of the access-time setting lowers `MOUNT_ATTR__ATIME` whole.
    pub clear: u64,
    /// One of `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` and `MS_UNBINDABLE`, or 0 to leave it.
    pub propagation: u64,
    /// Maps the owners of the mount's files through this user namespace.
    pub userns: Option<BorrowedFd<'fd>>,
}

impl MountAttr<'_> {
    fn to_raw(self) -> raw::mount_attr {
        let idmap = if self.userns.is_some() { u64::from(raw::MOUNT_ATTR_IDMAP) } else { 0 };
        raw::mount_attr {
            attr_set: self.set | idmap,
            attr_clr: self.clear,
            propagation: self.propagation,
            userns_fd: self.userns.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
        }
    }
}

/// Changes the mount whose root `fd` is, and with `recursive` all mounts below it. Linux 5.12, `CAP_SYS_ADMIN`.
///
/// Nothing is changed unless every mount of the tree can be.
pub fn mount_setattr(fd: impl AsFd, recursive: bool, attr: &MountAttr<'_>) -> Result<()> {
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= raw::AT_RECURSIVE.cast_signed();
    }
    let fd = fd.as_fd().as_raw_fd();
    let raw_attr = attr.to_raw();
    let path: &CStr = c"";
    // SAFETY: the path is a terminated string, the structure is as long as said; the kernel reads both.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_mount_setattr.cast_signed()),
            fd,
            path.as_ptr(),
            flags,
            &raw const raw_attr,
            size_of::<raw::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("mount_setattr", describe(fd, attr))) }
}

/// A detached copy of the mount at `fd`, made with `attr` already in force. Linux 6.15, `CAP_SYS_ADMIN`.
pub fn open_tree_attr(fd: impl AsFd, recursive: bool, attr: &MountAttr<'_>) -> Result<OwnedFd> {
    let mut flags =
        raw::OPEN_TREE_CLONE | raw::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH.unsigned_abs();
    if recursive {
        flags |= raw::AT_RECURSIVE;
    }
    let fd = fd.as_fd().as_raw_fd();
    let raw_attr = attr.to_raw();
    let path: &CStr = c"";
    // SAFETY: the path is a terminated string, the structure is as long as said; the kernel reads both.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_open_tree_attr.cast_signed()),
            fd,
            path.as_ptr(),
            flags,
            &raw const raw_attr,
            size_of::<raw::mount_attr>(),
        )
    };
    match RawFd::try_from(result) {
        // SAFETY: the kernel has just opened it for us and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(SyscallError::last("open_tree_attr", describe(fd, attr))),
    }
}

fn describe(fd: RawFd, attr: &MountAttr<'_>) -> String {
    let MountAttr { set, clear, propagation, userns } = attr;
    let idmap = if userns.is_some() { ", idmap" } else { "" };
    format!("{fd}, set {set:#x}, clear {clear:#x}, propagation {propagation:#x}{idmap}")
}
