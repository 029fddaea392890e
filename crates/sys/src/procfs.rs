//! A procfs that is verified to be one, and files in it that nothing is mounted over.
//!
//! Labels, sysctls and id maps are written to files in `/proc`. Whoever can mount something over such a
//! file, or over `/proc` itself, could have the write go elsewhere and the container start unconfined.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, fstatfs, open, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags, fsconfig_create, fsmount, fsopen,
    unmount,
};
use rustix::process::{chdir, fchdir};

use crate::{Result, SyscallError};

const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const PROC_ROOT_INODE: u64 = 1;

/// How often a look-up is tried again that the kernel gave up because of concurrent renames and mounts.
const ATTEMPTS: u32 = 64;

/// An open procfs, from its root.
#[derive(Debug)]
pub struct ProcRoot(OwnedFd);

impl ProcRoot {
    /// Opens `/proc` of the caller's mount namespace. Fails with `ENODEV` if that is not the root of a procfs.
    pub fn open() -> Result<Self> {
        let failure = |call, errno| SyscallError::new(call, "/proc", errno);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open("/proc", flags, Mode::empty()).map_err(|errno| failure("open", errno))?;
        let fs = fstatfs(&fd).map_err(|errno| failure("fstatfs", errno))?;
        let stat = fstat(&fd).map_err(|errno| failure("fstat", errno))?;
        if fs.f_type != PROC_SUPER_MAGIC || stat.st_ino != PROC_ROOT_INODE {
            return Err(failure("verify procfs", Errno::NODEV));
        }
        Ok(Self(fd))
    }

    /// A new procfs of the caller's pid namespace, mounted nowhere. Linux 5.2; `CAP_SYS_ADMIN`.
    ///
    /// In a user namespace other than the first the kernel refuses with `EPERM` if the visible one has
    /// anything mounted over it.
    pub fn mount() -> Result<Self> {
        let failure = |call, errno| SyscallError::new(call, "proc", errno);
        let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|errno| failure("fsopen", errno))?;
        fsconfig_create(&context).map_err(|errno| failure("fsconfig", errno))?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map(Self)
            .map_err(|errno| failure("fsmount", errno))
    }

    /// Opens `path`, as `self/oom_score_adj`, in this very mount: no magic link, nothing mounted over it.
    ///
    /// Fails with `EXDEV` where something is mounted. Linux 5.6.
    pub fn open_file(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        let mut attempt = 0;
        loop {
            match openat2(&self.0, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if attempt < ATTEMPTS => attempt += 1,
                other => {
                    return other.map_err(|errno| {
                        SyscallError::new("openat2", format!("/proc/{path}"), errno)
                    });
                }
            }
        }
    }

    /// Unmounts the mount whose root `mounted` is, with all that is mounted below. `CAP_SYS_ADMIN`.
    ///
    /// The caller must be in the mount namespace, and its working directory is the root afterwards.
    pub fn unmount(&self, mounted: impl AsFd) -> Result<()> {
        let path = format!("thread-self/fd/{}", mounted.as_fd().as_raw_fd());
        let failure = |call| move |errno| SyscallError::new(call, "mount", errno);
        // umount2(2) takes a path only; from here it leads through nothing of the container's.
        fchdir(&self.0).map_err(failure("fchdir"))?;
        let unmounted = unmount(path.as_str(), UnmountFlags::DETACH);
        chdir("/").map_err(failure("chdir"))?;
        unmounted.map_err(failure("umount2"))
    }

    /// Writes `content` to the file `path` with a single write(2).
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        write(self.open_file(path, OFlags::WRONLY)?, path, content)
    }
}

/// Writes `content` with a single write(2) to `file`, which was opened as `path` in a [`ProcRoot`].
pub fn write(file: impl AsFd, path: &str, content: &str) -> Result<()> {
    let failure = |errno| SyscallError::new("write", format!("/proc/{path}, {content:?}"), errno);
    match rustix::io::write(file, content.as_bytes()) {
        Ok(count) if count == content.len() => Ok(()),
        Ok(_) => Err(failure(Errno::IO)),
        Err(errno) => Err(failure(errno)),
    }
}

impl AsFd for ProcRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_links_and_ways_out_are_refused() {
        let proc = ProcRoot::open().unwrap();
        proc.open_file("self/stat", OFlags::RDONLY).unwrap();
        proc.open_file("thread-self/fd", OFlags::PATH | OFlags::DIRECTORY).unwrap();
        for path in ["self/root/etc/passwd", "../etc/passwd", "/etc/passwd", "self/cwd"] {
            assert!(proc.open_file(path, OFlags::RDONLY).is_err(), "{path}");
        }
    }
}
