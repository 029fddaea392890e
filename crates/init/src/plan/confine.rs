//! What the container may do.

use coracle_caps::CapabilityPlan;
use coracle_lsm::landlock::Rules;
use serde::{Deserialize, Serialize};

/// The confinement of the container's first process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfinePlan {
    /// Its capabilities.
    pub capabilities: CapabilityPlan,
    /// execve(2) gives no privilege any more.
    pub no_new_privileges: bool,
    /// Which system calls it may make.
    pub seccomp: Option<SeccompPlan>,
    /// Its AppArmor profile.
    pub apparmor: Option<String>,
    /// Its SELinux label.
    pub selinux: Option<String>,
    /// What Landlock allows it.
    pub landlock: Option<Rules>,
}

/// A compiled seccomp filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompPlan {
    /// The program, as of `BpfProgram::as_bytes`.
    pub program: Vec<u8>,
    /// The `SECCOMP_FILTER_FLAG_*` to load it with.
    pub flags: u64,
}
