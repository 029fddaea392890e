//! The attributes of mounts by mount(2), for kernels before 5.12, which lack mount_setattr(2).
//!
//! mount(2) takes paths, one mount at a time, and flags are changed on attached mounts only. So a mount goes
//! by the name of its descriptor in procfs, the mounts below it are looked up in mountinfo, and who has a
//! detached mount attaches it first.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use coracle_sys::procfs::ProcRoot;
use coracle_sys::{Errno, SyscallError};
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::mount::{
    MountFlags as ClassicFlags, MountPropagationFlags, mount_change, mount_remount,
};

use crate::mountinfo::{self, MountInfo};
use crate::rootfs::identity;
use crate::{Attributes, MountFlags};

type Result<T, E = SyscallError> = std::result::Result<T, E>;

/// Changes the propagation of the mount at `fd`.
pub(crate) fn set_propagation(fd: BorrowedFd<'_>, flags: MountPropagationFlags) -> Result<()> {
    let path = path_of(fd)?;
    mount_change(&path, flags)
        .map_err(|errno| SyscallError::new("mount", format!("{path}, {flags:?}"), errno))
}

/// Changes the flags of the mount at `fd`, which must be attached to the caller's mount namespace.
pub(crate) fn set_flags(fd: BorrowedFd<'_>, attributes: &Attributes) -> Result<()> {
    let Attributes { set, clear, recursive_set, recursive_clear, .. } = attributes;
    let of_all = |flags: MountFlags| (flags - *recursive_clear) | *recursive_set;
    remount(fd, of_all((MountFlags::of(fd)? - *clear) | *set))?;
    if (*recursive_set | *recursive_clear).is_empty() {
        return Ok(());
    }
    below(fd)?.iter().try_for_each(|mount| remount(mount.as_fd(), of_all(MountFlags::of(mount)?)))
}

fn remount(fd: BorrowedFd<'_>, flags: MountFlags) -> Result<()> {
    let path = path_of(fd)?;
    mount_remount(&path, ClassicFlags::BIND | classic(flags), "")
        .map_err(|errno| SyscallError::new("mount", format!("{path}, remount, {flags:?}"), errno))
}

/// The same for mount(2). An access-time setting is always among them: else it would stay as it is.
pub(crate) fn classic(flags: MountFlags) -> ClassicFlags {
    let known = [
        (MountFlags::RDONLY, ClassicFlags::RDONLY),
        (MountFlags::NOSUID, ClassicFlags::NOSUID),
        (MountFlags::NODEV, ClassicFlags::NODEV),
        (MountFlags::NOEXEC, ClassicFlags::NOEXEC),
        (MountFlags::NODIRATIME, ClassicFlags::NODIRATIME),
        (MountFlags::NOSYMFOLLOW, ClassicFlags::NOSYMFOLLOW),
    ];
    let access_time = match flags & MountFlags::ATIME {
        MountFlags::NOATIME => ClassicFlags::NOATIME,
        MountFlags::STRICTATIME => ClassicFlags::STRICTATIME,
        _ => ClassicFlags::RELATIME,
    };
    let raised = known.into_iter().filter(|(flag, _)| flags.contains(*flag));
    raised.fold(access_time, |flags, (_, flag)| flags | flag)
}

/// A path to this very mount.
pub(crate) fn path_of(fd: BorrowedFd<'_>) -> Result<String> {
    // The container's own root: then /proc is the container's, too, and maybe nothing of that kind.
    let root = open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| SyscallError::new("open", "/", errno))?;
    if place(fd)? == place(root.as_fd())? {
        return Ok("/".to_owned());
    }
    // Only to see that nothing is mounted over it.
    ProcRoot::open()?.open_file("thread-self/fd", OFlags::PATH | OFlags::DIRECTORY)?;
    Ok(format!("/proc/thread-self/fd/{}", fd.as_raw_fd()))
}

/// The mounts below the one at `fd`, at any depth.
fn below(fd: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    let (top, _) = place(fd)?;
    let mounts = mountinfo::read()?;
    let lacking = |what: &str| SyscallError::new("mount_setattr", what, Errno::NOSYS);
    let tree = with_id(&mounts, top).ok_or_else(|| lacking("recursive, a mount out of sight"))?;
    mounts
        .iter()
        .filter(|mount| is_below(mount, top, &mounts))
        .map(|mount| {
            let inside = mount.path.strip_prefix(&tree.path).unwrap_or(&mount.path);
            let found = open_inside(fd, inside)?;
            let hidden = || lacking(&format!("recursive, {}, covered", mount.path.display()));
            if place(found.as_fd())?.0 == mount.id { Ok(found) } else { Err(hidden()) }
        })
        .collect()
}

fn with_id(mounts: &[MountInfo], id: u64) -> Option<&MountInfo> {
    mounts.iter().find(|mount| mount.id == id)
}

fn is_below(mount: &MountInfo, top: u64, mounts: &[MountInfo]) -> bool {
    let mut next = mount;
    while next.parent != top {
        match with_id(mounts, next.parent) {
            // A root may be its own parent.
            Some(parent) if parent.id != next.id => next = parent,
            _ => return false,
        }
    }
    mount.id != top
}

fn open_inside(fd: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(fd, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
        .map_err(|errno| SyscallError::new("openat2", path.display().to_string(), errno))
}

fn place(fd: BorrowedFd<'_>) -> Result<(u64, u64)> {
    identity(fd).map_err(|errno| SyscallError::new("statx", "mount", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_always_have_an_access_time() {
        let relatime = classic(MountFlags::RDONLY | MountFlags::NODIRATIME);
        let expected = ClassicFlags::RDONLY | ClassicFlags::NODIRATIME | ClassicFlags::RELATIME;
        assert_eq!(relatime, expected);
        assert_eq!(classic(MountFlags::STRICTATIME), ClassicFlags::STRICTATIME);
        assert_eq!(classic(MountFlags::NOATIME), ClassicFlags::NOATIME);
    }

    #[test]
    fn finds_what_is_mounted_below() {
        let mount = |id, parent| MountInfo {
            id,
            parent,
            device: 0,
            root: "/".into(),
            path: "/".into(),
            fstype: String::new(),
        };
        let mounts = [mount(1, 1), mount(9, 2), mount(2, 1), mount(3, 1), mount(4, 9), mount(7, 6)];
        let below = |top| -> Vec<u64> {
            mounts.iter().filter(|it| is_below(it, top, &mounts)).map(|it| it.id).collect()
        };
        assert_eq!(below(2), [9, 4]);
        assert_eq!(below(1), [9, 2, 3, 4]);
        assert!(below(3).is_empty());
    }
}
