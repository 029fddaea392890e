//! A tree that stands for the host: nothing in it may change, whatever a container does.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lgetxattr, llistxattr, lsetxattr, mknodat};
use rustix::io::Errno;

use crate::Result;

/// Directories of the real host of which at least the names and modes are compared.
const REAL: [&str; 3] = ["/", "/dev", "/root"];

/// Every kind of file that an attack may be after, as it was when it was planted.
#[derive(Debug)]
pub(crate) struct Sentinel {
    root: PathBuf,
    then: BTreeMap<PathBuf, String>,
}

impl Sentinel {
    /// Makes the tree at `root` and remembers all of it.
    pub(crate) fn plant(root: PathBuf) -> Result<Self> {
        for directory in ["", "etc", "dev", "sub", "sub/deep", "empty"] {
            fs::create_dir(root.join(directory))?;
        }
        for (name, mode, content) in [
            ("secret", 0o600, "the host's secret\n"),
            ("etc/shadow", 0o640, "root:*:\n"),
            ("core_pattern", 0o644, "core\n"),
            ("sub/secret", 0o644, "the host's secret\n"),
            ("sub/deep/program", 0o4755, "#!/bin/sh\n"),
            ("dev/ptmx", 0o644, "the host's\n"),
        ] {
            fs::write(root.join(name), content)?;
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode))?;
        }
        fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o2775))?;
        symlink("etc/shadow", root.join("link"))?;
        let fifo = Mode::from_raw_mode(0o622);
        mknodat(CWD, root.join("fifo"), FileType::Fifo, fifo, 0)?;
        if rustix::process::geteuid().is_root() {
            chown(root.join("sub"), Some(1000), Some(5))?;
            match lsetxattr(root.join("secret"), "trusted.mark", b"kept", XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let then = Self::look(&root)?;
        Ok(Self { root, then })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What has changed since, in sentences.
    pub(crate) fn changes(&self) -> Result<Vec<String>> {
        let now = Self::look(&self.root)?;
        let shown = |path: &PathBuf, at: &BTreeMap<PathBuf, String>| {
            at.get(path).cloned().unwrap_or_else(|| "nothing".to_owned())
        };
        let paths =
            self.then.keys().chain(now.keys().filter(|path| !self.then.contains_key(*path)));
        let changed = paths.filter(|path| self.then.get(*path) != now.get(*path));
        Ok(changed
            .map(|path| {
                let (then, now) = (shown(path, &self.then), shown(path, &now));
                format!("HOST CHANGED: {}: {then} became {now}", path.display())
            })
            .collect())
    }

    fn look(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
        let mut found = BTreeMap::new();
        describe_below(root, &mut found)?;
        for directory in REAL {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                // What goes while we look is another's.
                let Ok(stat) = fs::symlink_metadata(&path) else { continue };
                found.insert(path, format!("{:o} {}:{}", stat.mode(), stat.uid(), stat.gid()));
            }
        }
        Ok(found)
    }
}

fn describe_below(path: &Path, found: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let stat = fs::symlink_metadata(path)?;
    let content = match FileType::from_raw_mode(stat.mode()) {
        FileType::RegularFile => String::from_utf8_lossy(&fs::read(path)?).into_owned(),
        FileType::Symlink => fs::read_link(path)?.display().to_string(),
        _ => String::new(),
    };
    found.insert(
        path.to_owned(),
        format!(
            "{:o} {}:{} {} links, device {:x}, modified {}.{}, changed {}.{}, {:?}, {content:?}",
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.nlink(),
            stat.rdev(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
            attributes(path)?
        ),
    );
    if stat.is_dir() {
        for entry in fs::read_dir(path)? {
            describe_below(&entry?.path(), found)?;
        }
    }
    Ok(())
}

/// The extended attributes.
fn attributes(path: &Path) -> Result<Vec<(String, String)>> {
    let mut list = Vec::with_capacity(4096);
    match llistxattr(path, spare_capacity(&mut list)) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        listed => listed.map(drop)?,
    }
    let mut found = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = Vec::with_capacity(4096);
        lgetxattr(path, name, spare_capacity(&mut value))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        found.push((text(name), text(&value)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_change_goes_unseen() {
        let directory = std::env::temp_dir().join(format!("sentinel-{}", std::process::id()));
        let sentinel = Sentinel::plant(directory.clone()).unwrap();
        assert!(sentinel.changes().unwrap().is_empty());
        let attacks: [fn(&Path) -> std::io::Result<()>; 5] = [
            |root| fs::write(root.join("etc/shadow"), "root::\n"),
            |root| fs::create_dir(root.join("empty/new")),
            |root| fs::set_permissions(root.join("sub"), fs::Permissions::from_mode(0o777)),
            |root| fs::remove_file(root.join("link")),
            |root| fs::hard_link(root.join("secret"), root.join("sub/deep/secret")),
        ];
        for attack in attacks {
            let before = sentinel.changes().unwrap();
            attack(&directory).unwrap();
            assert!(sentinel.changes().unwrap() != before);
        }
        fs::remove_dir_all(directory).unwrap();
    }
}
