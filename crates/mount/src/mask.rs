//! Hiding paths and making paths read-only.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::{
    Attributes, DetachedMount, DeviceKind, Error, Filesystem, MountFlags, Parameter, Result, Rootfs,
};

/// Covers for the paths that a container must not see: one for files, one for directories.
///
/// The cover for files is a null device of the host, not the container's, which the image could have
/// replaced by a link to something precious. All covered paths share it, and the directories one empty,
/// read-only tmpfs.
#[derive(Debug)]
pub struct Masks<'rootfs> {
    rootfs: &'rootfs Rootfs,
    file: Cover,
    directory: Cover,
}

/// A mount that is attached at the first use and copied from there at the next ones.
#[derive(Debug)]
enum Cover {
    Unused,
    Used(OwnedFd),
}

impl Rootfs {
    /// Starts hiding paths, while the caller's root is still the host's.
    pub fn masks(&self) -> Masks<'_> {
        Masks { rootfs: self, file: Cover::Unused, directory: Cover::Unused }
    }

    /// Makes `path` and all mounts below it read-only. A path that does not exist is none to protect.
    pub fn protect(&self, path: &Path) -> Result<()> {
        let Some(target) = self.find(path)? else { return Ok(()) };
        let tree = DetachedMount::copy_of(&target, true)
            .map_err(|source| Error::Source { path: path.into(), source })?;
        let attributes = Attributes { recursive_set: MountFlags::RDONLY, ..Attributes::default() };
        tree.attach_with(&target, &attributes).map(drop)
    }
}

impl Masks<'_> {
    /// Hides `path`. A path that does not exist is none to hide.
    pub fn mask(&mut self, path: &Path) -> Result<()> {
        let Some(target) = self.rootfs.find(path)? else { return Ok(()) };
        let (cover, make): (_, fn() -> Result<DetachedMount>) = if target.is_directory()? {
            (&mut self.directory, empty_directory)
        } else {
            (&mut self.file, host_null)
        };
        let mount = match cover {
            Cover::Unused => make()?,
            Cover::Used(fd) => DetachedMount::copy_of(fd, false)
                .map_err(|source| Error::Source { path: path.into(), source })?,
        };
        *cover = Cover::Used(mount.attach(&target)?);
        Ok(())
    }
}

fn empty_directory() -> Result<DetachedMount> {
    let mut tmpfs = Filesystem::new("tmpfs");
    tmpfs.source = Some("tmpfs".into());
    tmpfs.parameters = vec![Parameter::new("mode", "755"), Parameter::new("nr_inodes", "1")];
    let set = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    DetachedMount::new(&tmpfs, &Attributes { set, ..Attributes::default() })
}

/// A copy of the host's null device, verified to be one.
fn host_null() -> Result<DetachedMount> {
    DetachedMount::copy_of_device(Path::new("/dev/null"), DeviceKind::Character, (1, 3))
}
