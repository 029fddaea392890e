//! The file system.

use std::path::{Path, PathBuf};

use coracle_sys::SyscallError;
use coracle_sys::mountinfo::{MountLine, unescape};

use crate::{Error, Group, Result};

/// Where the resctrl file system is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resctrl {
    root: PathBuf,
}

impl Resctrl {
    /// Looks it up among the caller's mounts.
    ///
    /// # Errors
    ///
    /// [`Error::NotMounted`], or that `/proc/self/mountinfo` cannot be read.
    pub fn discover() -> Result<Self> {
        let path = "/proc/self/mountinfo";
        let mounts = std::fs::read(path).map_err(|error| Error::File {
            source: SyscallError::from_io("read", path, &error),
            status: None,
        })?;
        let mut lines = mounts.split(|byte| *byte == b'\n');
        lines.find_map(mount_point).map(Self::at).ok_or(Error::NotMounted)
    }

    /// That which is known to be mounted at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The class of service of this name, whether or not it is there; `/` is the one that every process is in
    /// at first.
    pub fn group(&self, name: &str) -> Group {
        Group::new(self.root.clone(), self.root.join(name.trim_start_matches('/')))
    }
}

/// The mount point, if this line of mountinfo is of the file system.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let mount = MountLine::parse(line).filter(|mount| mount.fstype == b"resctrl")?;
    Some(unescape(mount.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_found_by_its_type() {
        let line = br"29 22 0:26 / /sys/my\040resctrl rw,relatime shared:9 - resctrl resctrl rw";
        assert_eq!(mount_point(line), Some(PathBuf::from("/sys/my resctrl")));
        let line = b"29 22 0:26 / /sys/fs/resctrl rw,relatime - tmpfs resctrl rw";
        assert_eq!(mount_point(line), None);
    }

    #[test]
    fn the_first_group_is_the_root() {
        let resctrl = Resctrl::at("/r");
        assert_eq!(resctrl.group("/").path(), Path::new("/r"));
        assert_eq!(resctrl.group("a").path(), Path::new("/r/a"));
    }
}
