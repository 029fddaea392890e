//! The cgroup file systems inside a container.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::symlinkat;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{Attributes, DetachedMount, Error, Filesystem, MountFlags, Parameter, Result, Rootfs};

/// How a container sees its cgroups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupMount {
    /// The one hierarchy of cgroup v2.
    Unified,
    /// A tmpfs with the v1 hierarchies below.
    Legacy {
        /// The hierarchies.
        entries: Vec<CgroupV1Entry>,
        /// Controllers that share a hierarchy: link name and what it points to.
        links: Vec<(String, String)>,
    },
}

/// One v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupV1Entry {
    /// Its directory below the mount, as `cpu,cpuacct`.
    pub name: String,
    /// What selects it when it is mounted, as `cpu` and `cpuacct`, or `none` and `name=systemd`.
    pub parameters: Vec<Parameter>,
}

impl Rootfs {
    /// Mounts the v2 hierarchy on `path`; where the kernel refuses, `copy` of what the host has.
    pub fn mount_cgroup_unified(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        copy: Option<DetachedMount>,
    ) -> Result<OwnedFd> {
        let mut filesystem = Filesystem::new("cgroup2");
        filesystem.source = Some("cgroup".into());
        match (self.mount_filesystem(path, &filesystem, attributes), copy) {
            (Err(Error::Filesystem { source, .. }), Some(copy))
                if matches!(source.errno(), Errno::PERM | Errno::BUSY) =>
            {
                self.bind(path, copy, attributes)
            }
            (mounted, _) => mounted,
        }
    }

    /// Mounts a tmpfs on `path` and the v1 hierarchies below, each from its copy where there is one.
    pub fn mount_cgroup_legacy<'entry>(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        entries: impl IntoIterator<Item = (&'entry CgroupV1Entry, Option<DetachedMount>)>,
        links: &[(String, String)],
    ) -> Result<()> {
        let mut tmpfs = Filesystem::new("tmpfs");
        tmpfs.source = Some("tmpfs".into());
        tmpfs.parameters = vec![Parameter::new("mode", "755")];
        let mut writable = attributes.clone();
        writable.set.remove(MountFlags::RDONLY);
        let top = self.mount_filesystem(path, &tmpfs, &writable)?;
        for (entry, copy) in entries {
            let place = path.join(&entry.name);
            match copy {
                Some(copy) => self.bind(&place, copy, attributes)?,
                None => {
                    let filesystem = Filesystem {
                        fstype: "cgroup".into(),
                        source: Some("cgroup".into()),
                        parameters: entry.parameters.clone(),
                        copy_up: false,
                    };
                    self.mount_filesystem(&place, &filesystem, attributes)?
                }
            };
        }
        for (name, points_to) in links {
            symlinkat(points_to, &top, name)
                .map_err(|errno| Error::target(path.join(name), "symlinkat", points_to, errno))?;
        }
        if attributes.set.contains(MountFlags::RDONLY) {
            Attributes { set: MountFlags::RDONLY, ..Attributes::default() }.apply_flags(&top)?;
        }
        Ok(())
    }
}
