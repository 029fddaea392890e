//! Everything that is to be done for one container, decided and checked.

mod confine;
mod mounts;
mod namespaces;
mod process;

use serde::{Deserialize, Serialize};

pub use confine::{ConfinePlan, SeccompPlan};
pub use mounts::{BindSource, MountKind, MountStep, MountsPlan};
pub use namespaces::{CgroupEntry, NamespacesPlan};
pub use process::{ProcessPlan, StartGate, TerminalPlan};

/// A descriptor that the host hands over: its place among those sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot(pub u32);

/// One container start. `{:#?}` prints it for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where it runs.
    pub namespaces: NamespacesPlan,
    /// The cgroup it is born in.
    pub cgroup: CgroupEntry,
    /// What it sees of files.
    pub mounts: MountsPlan,
    /// What it runs.
    pub process: ProcessPlan,
    /// What it may do.
    pub confine: ConfinePlan,
}
