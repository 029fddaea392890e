//! What /proc says of cgroup hierarchies: /proc/self/cgroup and /proc/self/mountinfo.

use std::path::PathBuf;

use coracle_sys::mountinfo::{MountLine, unescape};

/// A line of /proc/self/cgroup: a hierarchy and where this process is in it; see cgroups(7).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The controllers of a v1 hierarchy, or `name=…`; nothing for v2.
    pub(crate) controllers: Vec<String>,
    /// The path below the root of the hierarchy, as this cgroup namespace sees it.
    pub(crate) path: PathBuf,
}

/// A cgroup mount of /proc/self/mountinfo; see proc_pid_mountinfo(5).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount<'a> {
    pub(crate) v2: bool,
    /// The device number that every file of the mount has.
    pub(crate) device: (u32, u32),
    /// Which cgroup of the hierarchy is mounted: not `/` for a bind mount of a part.
    pub(crate) root: PathBuf,
    pub(crate) mount_point: PathBuf,
    /// The options of the hierarchy, its controllers among them.
    options: &'a str,
}

impl Mount<'_> {
    /// Whether this is a mount of the hierarchy.
    pub(crate) fn is_of(&self, membership: &Membership) -> bool {
        match membership.controllers.as_slice() {
            [] => self.v2,
            controllers => {
                !self.v2
                    && controllers.iter().all(|c| self.options.split(',').any(|option| option == c))
            }
        }
    }
}

/// The lines of /proc/self/cgroup.
pub(crate) fn memberships(text: &str) -> impl Iterator<Item = Membership> {
    text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let controllers = controllers.split(',').filter(|c| !c.is_empty());
        Some(Membership {
            controllers: controllers.map(str::to_owned).collect(),
            path: path.into(),
        })
    })
}

/// A line of mountinfo, if it is a cgroup mount.
pub(crate) fn parse_mount(line: &[u8]) -> Option<Mount<'_>> {
    // The cheapest test first: a host may have thousands of other mounts.
    let fstype = line.rsplit(|byte| *byte == b' ').nth(2)?;
    if !fstype.starts_with(b"cgroup") {
        return None;
    }
    let mount = MountLine::parse(line)?;
    let v2 = match mount.fstype {
        b"cgroup" => false,
        b"cgroup2" => true,
        _ => return None,
    };
    Some(Mount {
        v2,
        device: mount.device,
        root: unescape(mount.root),
        mount_point: unescape(mount.path),
        options: std::str::from_utf8(mount.options).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_memberships() {
        let text = "12:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/user.slice\n";
        let found: Vec<_> = memberships(text).map(|m| (m.controllers.join("+"), m.path)).collect();
        let expected = [("cpu+cpuacct", "/a"), ("name=systemd", "/b:c"), ("", "/user.slice")];
        assert_eq!(found, expected.map(|(c, p)| (c.to_owned(), PathBuf::from(p))));
    }

    #[test]
    fn reads_mounts() {
        let line = "33 31 0:29 /docker/x /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:1 \
                    - cgroup cgroup rw,cpu,cpuacct";
        let mount = parse_mount(line.as_bytes()).unwrap();
        assert_eq!(mount.device, (0, 29));
        assert_eq!(mount.root, PathBuf::from("/docker/x"));
        assert_eq!(mount.mount_point, PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"));
        let joint: Vec<_> = memberships("4:cpu,cpuacct:/\n5:cpu:/\n6:cpuset:/\n0::/\n").collect();
        let is_of: Vec<_> = joint.iter().map(|m| mount.is_of(m)).collect();
        assert_eq!(is_of, [true, true, false, false]);

        let mount =
            parse_mount(b"41 31 0:38 / /my\\040cgroups\\134 rw - cgroup2 none rw,nsdelegate");
        let mount = mount.unwrap();
        assert!(mount.v2 && mount.is_of(&joint[3]) && !mount.is_of(&joint[0]));
        assert_eq!(mount.mount_point, PathBuf::from("/my cgroups\\"));
    }

    #[test]
    fn skips_other_lines() {
        for line in [
            "",
            "1 2 0:3 / / rw - ext4 /dev/sda rw",
            "x - cgroup",
            "1 2 3 - cgroup2 a b",
            "1 2 0:3 / / - cgroupx a b",
        ] {
            assert_eq!(parse_mount(line.as_bytes()), None, "{line}");
        }
    }
}
