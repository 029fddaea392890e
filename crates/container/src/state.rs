//! What is recorded of a container, and what is told of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use coracle_cgroup::{CgroupPaths, SystemdManager, SystemdUnit};
use coracle_process::ProcessRef;
use serde::{Deserialize, Serialize};

use crate::hooks::RecordedHooks;
use crate::rdt::RdtRecord;
use crate::{Result, Status};

/// The file in the container's state directory, with the keys that tools read in runc's.
///
/// It is written before the first side effect, without a process, and again when the process is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) oci_version: String,
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    /// RFC 3339, UTC.
    pub(crate) created: String,
    /// The user who created it.
    pub(crate) owner: String,
    pub(crate) rootless: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Per v1 controller, and with an empty name for v2.
    pub(crate) cgroup_paths: CgroupPaths,
    /// The unit of systemd that is the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) systemd: Option<SystemdRecord>,
    /// The container has a pid namespace of its own: its other processes end with the first.
    pub(crate) own_pid_namespace: bool,
    #[serde(default, skip_serializing_if = "RecordedHooks::is_empty")]
    pub(crate) hooks: RecordedHooks,
    #[serde(flatten)]
    pub(crate) rdt: Option<RdtRecord>,
    #[serde(flatten)]
    pub(crate) init: Option<InitRecord>,
}

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SystemdRecord {
    pub(crate) unit: String,
    pub(crate) slice: String,
    /// It belongs to the service manager of a user.
    pub(crate) user: bool,
}

impl SystemdRecord {
    pub(crate) fn new(unit: &SystemdUnit) -> Self {
        let (name, slice) = (unit.name().to_owned(), unit.slice().to_owned());
        Self { unit: name, slice, user: unit.is_user() }
    }

    /// The unit, and the service manager that has it.
    pub(crate) fn connect(&self) -> Result<(SystemdManager, SystemdUnit)> {
        let unit = SystemdUnit::recorded(&self.unit, &self.slice, self.user)?;
        Ok((SystemdManager::connect(self.user)?, unit))
    }
}

/// The first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InitRecord {
    pub(crate) init_process_pid: i32,
    pub(crate) init_process_start: u64,
    #[serde(default)]
    pub(crate) init_process_pidfd_inode: Option<u64>,
    /// By the names of the flags: `NEWNET` and so on.
    #[serde(default)]
    pub(crate) namespace_paths: BTreeMap<String, PathBuf>,
}

impl InitRecord {
    pub(crate) fn new(process: ProcessRef) -> Self {
        let names = [
            ("NEWCGROUP", "cgroup"),
            ("NEWIPC", "ipc"),
            ("NEWNET", "net"),
            ("NEWNS", "mnt"),
            ("NEWPID", "pid"),
            ("NEWTIME", "time"),
            ("NEWUSER", "user"),
            ("NEWUTS", "uts"),
        ];
        let path = |file: &str| PathBuf::from(format!("/proc/{}/ns/{file}", process.pid));
        Self {
            init_process_pid: process.pid,
            init_process_start: process.start_time,
            init_process_pidfd_inode: process.pidfd_inode,
            namespace_paths: names.map(|(name, file)| (name.to_owned(), path(file))).into(),
        }
    }

    pub(crate) fn process(&self) -> ProcessRef {
        ProcessRef {
            pid: self.init_process_pid,
            start_time: self.init_process_start,
            pidfd_inode: self.init_process_pidfd_inode,
        }
    }
}

/// The state of a container as the OCI runtime specification defines it, with what runc adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the specification.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The first process in the caller's pid namespace; 0 when there is none.
    pub pid: i32,
    /// What the container is doing.
    pub status: Status,
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// The root file system.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339 in UTC.
    pub created: String,
    /// The annotations of the specification.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The name of the user who created it, or the number if there is no name.
    pub owner: String,
}
