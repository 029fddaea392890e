//! Namespaces kept alive by a mount.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use coracle_sys::{Errno, SyscallError};
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};

use crate::{Error, NsFd, Result};

impl NsFd {
    /// Mounts the namespace at `path`, a new file, so that it lives on without any process in it until
    /// [`unpin`]. `CAP_SYS_ADMIN`, Linux 5.2.
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let failure = |source| Error::Pin { path: path.into(), source };
        let failed = |call: &'static str| {
            move |errno| failure(SyscallError::new(call, path.display().to_string(), errno))
        };
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path);
        file.map_err(|error| {
            failure(SyscallError::from_io("open", path.display().to_string(), &error))
        })?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = open(path, flags, Mode::empty()).map_err(failed("open"))?;
        let copy = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let mount = open_tree(self, "", copy).map_err(failed("open_tree"))?;
        let onto =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(mount, "", place, "", onto).map_err(failed("move_mount"))
    }
}

/// Undoes [`NsFd::pin`] and removes the file. If there is none, or nothing is mounted there, that is no error.
pub fn unpin(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let failed = |call: &'static str| {
        move |errno| {
            let source = SyscallError::new(call, path.display().to_string(), errno);
            Error::Pin { path: path.into(), source }
        }
    };
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) if errno != Errno::INVAL => return Err(failed("umount2")(errno)),
        _ => {}
    }
    rustix::fs::unlinkat(CWD, path, rustix::fs::AtFlags::empty()).map_err(failed("unlink"))
}
