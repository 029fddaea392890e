//! The terminal of a container at `/dev/console`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstatfs, openat};

use crate::{DetachedMount, Error, Leaf, Result, Rootfs, inroot};

const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

impl Rootfs {
    /// The container's own devpts at `/dev/pts`, verified to be one.
    pub fn devpts(&self) -> Result<OwnedFd> {
        let path = Path::new("/dev/pts");
        let failure = |call, errno| Error::target(path, call, "/dev/pts", errno);
        let not_devpts = || Error::Forbidden {
            path: path.into(),
            reason: "a terminal needs a devpts mounted there: add one to /mounts",
        };
        let target = inroot::resolve_without_links(self, path)?.ok_or_else(not_devpts)?;
        let fs = fstatfs(&target).map_err(|errno| failure("fstatfs", errno))?;
        if fs.f_type != DEVPTS_SUPER_MAGIC {
            return Err(not_devpts());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&target, ".", flags, Mode::empty()).map_err(|errno| failure("openat", errno))
    }

    /// Puts the user side of the container's terminal on `/dev/console`.
    pub fn bind_console(&self, terminal: impl AsFd) -> Result<()> {
        let path = Path::new("/dev/console");
        self.dev()?;
        let copy = DetachedMount::copy_of(terminal, false)
            .map_err(|source| Error::Source { path: path.into(), source })?;
        let target = match inroot::resolve_without_links(self, path)? {
            Some(target) => target,
            None => {
                inroot::create(self, path, Leaf::File)?;
                let gone =
                    || Error::target(path, "openat2", "/dev/console", coracle_sys::Errno::NOENT);
                inroot::resolve_without_links(self, path)?.ok_or_else(gone)?
            }
        };
        copy.attach(&target).map(drop)
    }
}
