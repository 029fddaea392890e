//! Where the container runs.

use coracle_ns::idmap::IdMap;
use coracle_ns::{KindSet, NamespaceKind, TimeOffsets};
use serde::{Deserialize, Serialize};

use super::Slot;

/// The namespaces of the container; all others are the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacesPlan {
    /// Made new.
    pub create: KindSet,
    /// Existing ones to enter.
    pub join: Vec<(NamespaceKind, Slot)>,
    /// The user ids of a new user namespace.
    pub uid_map: IdMap,
    /// The group ids of a new user namespace.
    pub gid_map: IdMap,
    /// The clocks of a new time namespace.
    pub time_offsets: TimeOffsets,
    /// Wait, before the container is built, until the host has moved devices into the new network namespace.
    pub awaits_devices: bool,
    /// The host name, in a uts namespace that is not the host's.
    pub hostname: Option<String>,
    /// The NIS domain name, likewise.
    pub domainname: Option<String>,
    /// Kernel parameters of its namespaces: files below `/proc/sys` and what is written to them.
    pub sysctls: Vec<(String, String)>,
}

impl NamespacesPlan {
    /// Does the container have another user namespace than the host?
    pub fn has_user_namespace(&self) -> bool {
        self.create.contains(NamespaceKind::User) || self.joins(NamespaceKind::User)
    }

    /// Is a namespace of this kind entered?
    pub fn joins(&self, kind: NamespaceKind) -> bool {
        self.join.iter().any(|(joined, _)| *joined == kind)
    }
}

/// How the container gets into its cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupEntry {
    /// A directory of the v2 hierarchy, to be born in.
    pub unified: Option<Slot>,
    /// Another one, should the first have given its controllers to cgroups below it: then it takes nobody.
    pub otherwise: Option<Slot>,
    /// Open `tasks` files of v1 hierarchies, which the new process writes itself into.
    pub tasks: Vec<Slot>,
}
