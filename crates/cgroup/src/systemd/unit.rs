//! The name of a container's unit, and where its cgroup is.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The longest name of a unit, with its suffix (`UNIT_NAME_MAX` of systemd).
const NAME_MAX: usize = 255;

/// A unit of systemd that is to be a container's cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemdUnit {
    /// Its name: a `.scope`, or a `.slice`, which has no processes itself.
    name: String,
    /// The slice above it.
    slice: String,
    /// It belongs to the service manager of the calling user, not to that of the system.
    user: bool,
}

impl SystemdUnit {
    /// The unit for a container: what `cgroups_path` says, as `slice:prefix:name`, or one made of its id.
    ///
    /// An empty slice is `system.slice`, or of a user's manager `user.slice`; a scope is named
    /// `prefix-name.scope`, without a prefix `name.scope`; a name that ends in `.slice` stays as it is.
    pub fn for_container(cgroups_path: &str, id: &str, user: bool) -> Result<Self> {
        let invalid = |reason| Error::InvalidPath { path: cgroups_path.into(), reason };
        let (slice, prefix, name) = match cgroups_path.split(':').collect::<Vec<_>>()[..] {
            [""] => ("", "coracle", id),
            [slice, prefix, name] => (slice, prefix, name),
            _ => return Err(invalid("must be slice:prefix:name where systemd manages cgroups")),
        };
        let default = if user { "user.slice" } else { "system.slice" };
        let slice = if slice.is_empty() { default } else { slice };
        let name = match (name, prefix) {
            ("", _) => return Err(invalid("has no name after the second colon")),
            (name, _) if name.ends_with(".slice") => name.to_owned(),
            (name, "") => format!("{name}.scope"),
            (name, prefix) => format!("{prefix}-{name}.scope"),
        };
        check_name(&name).map_err(invalid)?;
        check_slice(slice).map_err(invalid)?;
        Ok(Self { name, slice: slice.to_owned(), user })
    }

    /// One that was recorded, by its name and slice.
    pub fn recorded(name: &str, slice: &str, user: bool) -> Result<Self> {
        let invalid = |reason| Error::InvalidPath { path: name.into(), reason };
        check_name(name).map_err(invalid)?;
        check_slice(slice).map_err(invalid)?;
        Ok(Self { name: name.to_owned(), slice: slice.to_owned(), user })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The slice above it.
    pub fn slice(&self) -> &str {
        &self.slice
    }

    /// Does it belong to the service manager of the calling user?
    pub fn is_user(&self) -> bool {
        self.user
    }

    /// Is it a slice itself?
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }

    /// Its cgroup, below that of its service manager.
    pub fn cgroup(&self) -> PathBuf {
        let mut path = expand(&self.slice);
        if self.is_slice() {
            return expand(&self.name);
        }
        path.push(&self.name);
        path
    }
}

/// The cgroup of a slice: `a-b.slice` is in `a.slice`, and `-.slice` is the root.
fn expand(slice: &str) -> PathBuf {
    let stem = slice.strip_suffix(".slice").unwrap_or(slice);
    let mut path = PathBuf::new();
    if stem == "-" {
        return path;
    }
    for (index, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
        path.push(format!("{}.slice", &stem[..index]));
    }
    path
}

fn check_slice(slice: &str) -> Result<(), &'static str> {
    let Some(stem) = slice.strip_suffix(".slice") else {
        return Err("names a slice without .slice at its end");
    };
    if stem != "-" && (stem.is_empty() || stem.split('-').any(str::is_empty)) {
        return Err("names a slice with an empty part between dashes");
    }
    check_name(slice)
}

/// The characters of unit names; see systemd.unit(5).
fn check_name(name: &str) -> Result<(), &'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if !name.bytes().all(is_allowed) {
        return Err("has characters that no unit of systemd has; see systemd-escape(1)");
    }
    if name.len() > NAME_MAX {
        return Err("makes a unit name longer than 255 bytes");
    }
    let special = Path::new(name).components().count() != 1 || name.starts_with('.');
    if special { Err("makes no name of a unit") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str) -> Result<SystemdUnit> {
        SystemdUnit::for_container(path, "id", false)
    }

    #[test]
    fn paths_name_units() {
        let cases = [
            ("", "coracle-id.scope", "system.slice/coracle-id.scope"),
            ("system.slice:docker:abc", "docker-abc.scope", "system.slice/docker-abc.scope"),
            (":runc:x", "runc-x.scope", "system.slice/runc-x.scope"),
            ("machine.slice::x", "x.scope", "machine.slice/x.scope"),
            ("-.slice:a:b", "a-b.scope", "a-b.scope"),
            ("a-b-c.slice:p:n", "p-n.scope", "a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
            ("kube.slice:x:kube-pod1.slice", "kube-pod1.slice", "kube.slice/kube-pod1.slice"),
        ];
        for (path, name, cgroup) in cases {
            let unit = unit(path).unwrap();
            assert_eq!((unit.name(), unit.cgroup()), (name, PathBuf::from(cgroup)), "{path}");
        }
        assert_eq!(SystemdUnit::for_container("", "x", true).unwrap().slice(), "user.slice");
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        let cases = [
            "/a/b",
            "a:b",
            "a:b:c:d",
            "system.slice:a:",
            "system:a:b",
            "a--b.slice:c:d",
            ".slice:a:b",
            "s.slice:a/b:c",
            "s.slice:../a:c",
            "s.slice:a:b c",
            "s.slice:a:\n",
        ];
        for path in cases {
            assert!(unit(path).is_err(), "{path:?}");
        }
        assert!(unit(&format!("s.slice:a:{}", "x".repeat(255))).is_err());
    }
}
