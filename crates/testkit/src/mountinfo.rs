//! proc_pid_mountinfo(5), as the tests read it.

use std::fs;

use anyhow::Context as _;

use crate::Result;

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Its number.
    pub id: u32,
    /// The number of the mount it is on.
    pub parent: u32,
    /// What of the file system is mounted.
    pub root: String,
    /// Where, below the root of the process whose list it is.
    pub target: String,
    /// Its own options.
    pub options: Vec<String>,
    /// Propagation, as `shared:1`.
    pub propagation: Vec<String>,
    /// The file system's type.
    pub fstype: String,
    /// What is mounted, if the file system has a name for it.
    pub source: String,
    /// The file system's options.
    pub super_options: Vec<String>,
}

impl MountEntry {
    /// Is this among its own options?
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|other| other == option)
    }

    /// Is this among the file system's options?
    pub fn driver_has(&self, option: &str) -> bool {
        self.super_options.iter().any(|other| other == option)
    }
}

/// The mounts in the text of a `mountinfo`.
pub fn parse_mountinfo(text: &str) -> Result<Vec<MountEntry>> {
    let parse = |line: &str| entry(line).with_context(|| format!("mountinfo has {line:?}"));
    text.lines().filter(|line| !line.is_empty()).map(parse).collect()
}

/// The mounts that the process `pid` sees.
pub fn mounts_of(pid: i32) -> Result<Vec<MountEntry>> {
    parse_mountinfo(&fs::read_to_string(format!("/proc/{pid}/mountinfo"))?)
}

/// The mounts that this process sees.
pub fn host_mounts() -> Result<Vec<MountEntry>> {
    mounts_of(i32::try_from(std::process::id())?)
}

fn entry(line: &str) -> Option<MountEntry> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ');
    let mut filesystem = filesystem.split(' ');
    let words = |text: &str| text.split(',').map(str::to_owned).collect();
    let (id, parent) = (mount.next()?.parse().ok()?, mount.next()?.parse().ok()?);
    mount.next()?;
    Some(MountEntry {
        id,
        parent,
        root: mount.next()?.to_owned(),
        target: mount.next()?.to_owned(),
        options: words(mount.next()?),
        propagation: mount.map(str::to_owned).collect(),
        fstype: filesystem.next()?.to_owned(),
        source: filesystem.next()?.to_owned(),
        super_options: words(filesystem.next()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_field() {
        let line =
            "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=x\n";
        let mounts = parse_mountinfo(line).unwrap();
        let mount = &mounts[0];
        assert_eq!((mount.id, mount.parent), (36, 35));
        assert_eq!((mount.root.as_str(), mount.target.as_str()), ("/mnt1", "/mnt2"));
        assert_eq!(mount.propagation, ["master:1", "shared:2"]);
        assert!(mount.has("noatime") && !mount.has("errors=x") && mount.driver_has("errors=x"));
        assert_eq!((mount.fstype.as_str(), mount.source.as_str()), ("ext3", "/dev/root"));
        assert!(parse_mountinfo("1 2 3").is_err());
        assert!(parse_mountinfo("").unwrap().is_empty());
    }
}
