//! What the container sees of files.

use std::path::PathBuf;

use coracle_mount::{
    Attributes, CgroupMount, DeviceNode, Filesystem, Parameter, Propagation, SourceLink,
};
use coracle_ns::idmap::IdMap;
use serde::{Deserialize, Serialize};

/// The container's root and everything mounted and made in it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountsPlan {
    /// The root file system, a path of the host.
    pub root: PathBuf,
    /// What the other mounts of the new mount namespace become before anything is mounted.
    pub outside: Propagation,
    /// The mounts.
    pub steps: Vec<MountStep>,
    /// Makes the usual devices and links in `/dev`.
    pub setup_dev: bool,
    /// Device nodes.
    pub devices: Vec<DeviceNode>,
    /// The nodes are copies of the host's, for lack of the right to make them.
    pub bind_devices: bool,
    /// Made read-only after all is in place, as a `/dev` that was filled before.
    pub readonly_later: Vec<PathBuf>,
    /// Hidden.
    pub masked: Vec<PathBuf>,
    /// Made read-only with all below.
    pub readonly: Vec<PathBuf>,
    /// The root itself becomes read-only.
    pub readonly_root: bool,
    /// The propagation of the container's root in the end.
    pub propagation: Option<Propagation>,
    /// Exchange the root of the namespace; otherwise only change that of the process.
    pub pivot: bool,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountStep {
    /// What it is called in errors, as `/mounts/3`.
    pub name: String,
    /// Where, as the container sees it.
    pub path: PathBuf,
    /// What.
    pub kind: MountKind,
    /// Flags and propagation.
    pub attributes: Attributes,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// A new file system.
    Filesystem(Filesystem),
    /// Something that exists.
    Bind(BindPlan),
    /// What is mounted there already, changed.
    Remount {
        /// What the driver of its file system is told; nothing to change the mount alone.
        parameters: Option<Vec<Parameter>>,
    },
    /// The container's cgroups.
    Cgroup {
        /// How they look.
        mount: CgroupMount,
        /// Directories of the host to be shown, one for each hierarchy; for v2 where it cannot be mounted.
        copies: Vec<PathBuf>,
    },
}

/// Where something to be bind-mounted is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindSource {
    /// A path of the host.
    Host(PathBuf),
    /// A path of the container, mounted or made before.
    Container(PathBuf),
}

/// Something to be bind-mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindPlan {
    /// What.
    pub source: BindSource,
    /// With the mounts below.
    pub recursive: bool,
    /// What a symbolic link as the source stands for.
    pub link: SourceLink,
    /// A symbolic link in its place is covered, not followed.
    pub over_link: bool,
    /// How owners differ from those of the source. The source is a path of the host then.
    pub id_map: Option<IdMapPlan>,
}

impl BindPlan {
    /// What `source` is or points to, alone.
    pub fn new(source: BindSource) -> Self {
        let link = SourceLink::default();
        Self { source, recursive: false, link, over_link: false, id_map: None }
    }
}

/// How the owners of files are mapped on a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMapPlan {
    /// Through which maps.
    pub users: MountUsers,
    /// On the mounts below, too.
    pub recursive: bool,
}

/// The maps of an id-mapped mount: the inside is what the file system has, the outside what the host sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountUsers {
    /// These.
    Maps {
        /// For users.
        uids: IdMap,
        /// For groups.
        gids: IdMap,
    },
    /// Those of the user namespace that the container joins.
    Joined,
}
