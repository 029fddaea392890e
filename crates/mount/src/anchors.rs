//! Where the kernel's own file systems are mounted, whatever their names lead to by now.
//!
//! A container that got its procfs elsewhere than where its files are hidden and protected could change the
//! host's kernel. Whoever can rename what is in the root file system meanwhile could bring that about: a name
//! that was a directory when it was mounted on may be a link when it is looked up again. So what lies below
//! such a mount is looked up from the mount.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::fstatfs;
use rustix::io::{Result, fcntl_dupfd_cloexec};

const KERNELS: [i64; 2] = [0x9fa0, 0x6265_6572]; // procfs, sysfs

/// The mounts of procfs and sysfs in a container, each with the path that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Anchors(Vec<(PathBuf, OwnedFd)>);

impl Anchors {
    /// Takes notice of what has been mounted on `path`.
    pub(crate) fn note(&mut self, path: &Path, mounted: impl AsFd) -> Result<()> {
        let path = Path::new("/").join(path);
        self.0.retain(|(other, _)| !other.starts_with(&path));
        if KERNELS.contains(&fstatfs(&mounted)?.f_type) {
            self.0.push((path, fcntl_dupfd_cloexec(mounted, 0)?));
        }
        Ok(())
    }

    /// From where to look for `path`, and for what.
    pub(crate) fn anchor<'a>(
        &'a self,
        root: BorrowedFd<'a>,
        path: &'a Path,
    ) -> (BorrowedFd<'a>, &'a Path) {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        let below =
            |(top, fd): &'a (PathBuf, OwnedFd)| Some((fd.as_fd(), path.strip_prefix(top).ok()?));
        let found = self.0.iter().rev().find_map(below);
        found.filter(|_| !climbs).unwrap_or((root, path))
    }
}
