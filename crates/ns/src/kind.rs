//! The kinds of namespaces.

use std::fmt;

use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

/// A kind of namespace; see namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NamespaceKind {
    /// User and group ids and capabilities; user_namespaces(7).
    User,
    /// The root of the visible cgroups; cgroup_namespaces(7).
    Cgroup,
    /// System V IPC and POSIX message queues; ipc_namespaces(7).
    Ipc,
    /// Host and domain name; uts_namespaces(7).
    Uts,
    /// Network devices, addresses, ports; network_namespaces(7).
    Net,
    /// Process ids; pid_namespaces(7). Entering it concerns later children only.
    Pid,
    /// Mounts; mount_namespaces(7).
    Mount,
    /// Boot and monotonic clocks; time_namespaces(7). Linux 5.6.
    Time,
}

impl NamespaceKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Cgroup,
        Self::Ipc,
        Self::Uts,
        Self::Net,
        Self::Pid,
        Self::Mount,
        Self::Time,
    ];

    /// The name of its file in `/proc/PID/ns`.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Mount => "mnt",
            Self::Time => "time",
        }
    }

    /// Its flag for clone3(2), unshare(2) and setns(2).
    pub const fn flag(self) -> UnshareFlags {
        match self {
            Self::User => UnshareFlags::NEWUSER,
            Self::Cgroup => UnshareFlags::NEWCGROUP,
            Self::Ipc => UnshareFlags::NEWIPC,
            Self::Uts => UnshareFlags::NEWUTS,
            Self::Net => UnshareFlags::NEWNET,
            Self::Pid => UnshareFlags::NEWPID,
            Self::Mount => UnshareFlags::NEWNS,
            Self::Time => UnshareFlags::NEWTIME,
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Net => "network",
            Self::Mount => "mount",
            other => other.file_name(),
        })
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSet(u8);

impl fmt::Debug for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl KindSet {
    /// Adds `kind`.
    pub fn insert(&mut self, kind: NamespaceKind) {
        self.0 |= 1 << kind as u8;
    }

    /// Takes `kind` out.
    pub fn remove(&mut self, kind: NamespaceKind) {
        self.0 &= !(1 << kind as u8);
    }

    /// Is `kind` in the set?
    pub fn contains(self, kind: NamespaceKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Has it no members?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members.
    pub fn iter(self) -> impl Iterator<Item = NamespaceKind> {
        NamespaceKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }

    /// The flags of its members, for clone3(2) and unshare(2).
    pub fn flags(self) -> UnshareFlags {
        self.iter().map(NamespaceKind::flag).collect()
    }
}

impl FromIterator<NamespaceKind> for KindSet {
    fn from_iter<I: IntoIterator<Item = NamespaceKind>>(kinds: I) -> Self {
        let mut set = Self::default();
        kinds.into_iter().for_each(|kind| set.insert(kind));
        set
    }
}
