//! Making the root file system the root.

use std::path::{Path, PathBuf};

use coracle_sys::SyscallError;
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags as ClassicFlags, MoveMountFlags, UnmountFlags, mount, move_mount, unmount,
};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use crate::{Error, Result, Rootfs, mountinfo};

impl Rootfs {
    /// Exchanges the root of the mount namespace for this one and lets go of the old; see pivot_root(2).
    ///
    /// The old root is put below the new one and detached from there, so that no directory is needed for it.
    pub fn pivot(&self) -> Result<()> {
        step("fchdir", fchdir(self))?;
        step("pivot_root", pivot_root(".", "."))?;
        step("umount", unmount(".", UnmountFlags::DETACH))?;
        step("chdir", chdir("/"))
    }

    /// Changes the root of the calling process only, for roots that cannot be pivoted away, as a ramdisk.
    ///
    /// The old root stays below. Whole procfs and sysfs mounts of the host would stay reachable with it and
    /// let a container mount its own without what covers parts of them, so they are detached or covered.
    ///
    /// The mount goes over the old root, so that whoever enters the mount namespace later finds this one.
    pub fn chroot(&self) -> Result<()> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        match move_mount(self, "", CWD, "/", flags) {
            // It is there already.
            Err(Errno::LOOP) => {}
            moved => step("move_mount", moved)?,
        }
        for path in host_kernel_mounts()? {
            hide(&path)?;
        }
        step("fchdir", fchdir(self))?;
        step("chroot", chroot("."))?;
        step("chdir", chdir("/"))
    }
}

fn step(call: &'static str, result: rustix::io::Result<()>) -> Result<()> {
    result.map_err(|errno| Error::Pivot(SyscallError::new(call, "root file system", errno)))
}

/// Where the caller's namespace has procfs and sysfs mounted from their roots, the last mounted first.
fn host_kernel_mounts() -> Result<Vec<PathBuf>> {
    let mut mounts = mountinfo::read().map_err(Error::Pivot)?;
    let kernels = |fstype: &str| matches!(fstype, "proc" | "sysfs");
    mounts.retain(|mount| mount.root == Path::new("/") && kernels(&mount.fstype));
    Ok(mounts.into_iter().rev().map(|mount| mount.path).collect())
}

fn hide(path: &Path) -> Result<()> {
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // It is not visible from here, as what lies below our own root file system.
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        // Locked, as all mounts are that come from a more privileged namespace.
        Err(Errno::INVAL | Errno::PERM) => {}
        Err(errno) => return step("umount", Err(errno)),
    }
    if open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).is_err() {
        return Ok(());
    }
    let flags = ClassicFlags::RDONLY | ClassicFlags::NOSUID | ClassicFlags::NODEV;
    step("mount", mount("tmpfs", path, "tmpfs", flags, None))
}
