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
    #[serde(with = "bytes")]
    pub program: Vec<u8>,
    /// The `SECCOMP_FILTER_FLAG_*` to load it with.
    pub flags: u64,
}

/// Passes bytes on as a whole, not one by one.
mod bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        <&[u8]>::deserialize(from).map(<[u8]>::to_vec)
    }
}
