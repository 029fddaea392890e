//! Where a cgroup lies in each hierarchy.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// The longest name of a directory.
const NAME_MAX: usize = 255;

/// The path of a cgroup, as `cgroupsPath` of an OCI configuration gives it.
///
/// An absolute path starts at the root of each hierarchy. A relative one starts where the calling
/// process is: in its own cgroup on v1 and hybrid hosts, beside its own cgroup on v2 (a cgroup
/// with processes cannot give limits to others there).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupPath {
    absolute: bool,
    /// Without `.`, `..` and a leading `/`; never empty.
    relative: PathBuf,
}

impl CgroupPath {
    /// Checks a path. Repeated slashes and `.` are dropped.
    ///
    /// Refuses a path that is empty or names the root, has `..`, control characters (a NUL among
    /// them), or a name longer than 255 bytes.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let invalid = |reason| Error::InvalidPath { path: path.to_owned(), reason };
        let mut relative = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => {
                    check_name(name.as_encoded_bytes()).map_err(invalid)?;
                    relative.push(name);
                }
                Component::ParentDir => return Err(invalid("must not contain `..`")),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        if relative.as_os_str().is_empty() {
            return Err(invalid("names no cgroup below the root; give it a name"));
        }
        Ok(Self { absolute: path.is_absolute(), relative })
    }

    /// The path of a container: what its configuration says or, if that is empty, its id as a
    /// relative path.
    pub fn for_container(cgroups_path: impl AsRef<Path>, id: &str) -> Result<Self> {
        let path = cgroups_path.as_ref();
        if !path.as_os_str().is_empty() {
            return Self::new(path);
        }
        if id.contains('/') {
            let reason = "stands for a container id, which must not contain `/`";
            return Err(Error::InvalidPath { path: id.into(), reason });
        }
        Self::new(id)
    }

    /// Whether it starts at the root of each hierarchy.
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// The names below the place where it starts.
    pub(crate) fn below(&self) -> &Path {
        &self.relative
    }
}

fn check_name(name: &[u8]) -> Result<(), &'static str> {
    if name.iter().any(u8::is_ascii_control) {
        return Err("must not contain control characters");
    }
    if name.len() > NAME_MAX {
        return Err("has a name longer than 255 bytes");
    }
    Ok(())
}

/// The path as it is, if it is absolute and has neither `..` nor control characters.
pub(crate) fn check_recorded(path: &Path) -> Result<()> {
    let invalid = |reason| Error::InvalidPath { path: path.to_owned(), reason };
    if !path.is_absolute() {
        return Err(invalid("was recorded, so it must be absolute"));
    }
    CgroupPath::new(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_absolute_and_relative_paths() {
        let path = CgroupPath::new("//kubepods/./pod1//c1/").unwrap();
        assert!(path.is_absolute());
        assert_eq!(path.below(), Path::new("kubepods/pod1/c1"));
        let path = CgroupPath::new("pod1/c1").unwrap();
        assert!(!path.is_absolute());
        assert_eq!(path.below(), Path::new("pod1/c1"));
    }

    #[test]
    fn an_empty_path_is_the_id() {
        let path = CgroupPath::for_container("", "web-1").unwrap();
        assert_eq!(path, CgroupPath::new("web-1").unwrap());
        assert_eq!(
            CgroupPath::for_container("/a", "web-1").unwrap(),
            CgroupPath::new("/a").unwrap()
        );
        for id in ["", ".", "..", "a/b", "../x"] {
            assert!(CgroupPath::for_container("", id).is_err(), "{id}");
        }
    }

    #[test]
    fn refuses_what_escapes_or_confuses() {
        for path in ["", "/", "..", "a/../b", "../../../victim", "a/..", "/..", "a\0b", "a\nb"] {
            let error = CgroupPath::new(path).unwrap_err();
            assert!(matches!(error, Error::InvalidPath { .. }), "{path:?}: {error}");
        }
        assert!(CgroupPath::new("a".repeat(256)).is_err());
        assert!(CgroupPath::new("a".repeat(255)).is_ok());
    }
}
