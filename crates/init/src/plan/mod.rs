//! Everything that is to be done for one process, decided and checked.

mod confine;
mod existing;
mod hooks;
mod live;
mod mounts;
mod namespaces;
mod process;

use serde::{Deserialize, Serialize};

pub use confine::{ConfinePlan, SeccompPlan};
pub use existing::ExistingPlan;
pub use hooks::{HookPlan, HooksPlan};
pub use live::{LivePlan, MountChange};
pub use mounts::{BindPlan, BindSource, IdMapPlan, MountKind, MountStep, MountUsers, MountsPlan};
pub use namespaces::{CgroupEntry, NamespacesPlan};
pub use process::{CpuAffinity, OomScoreAdj, ProcessPlan, StartGate, TerminalPlan};

/// A descriptor that the host hands over: its place among those sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot(pub u32);

/// What the program is started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// To become a process of a container.
    Process(Box<Plan>),
    /// To change the mounts of a container.
    Mounts(LivePlan),
}

/// One process to be started in a container. `{:#?}` prints it for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The container around it.
    pub place: Place,
    /// The cgroup it is born in.
    pub cgroup: CgroupEntry,
    /// What it runs.
    pub process: ProcessPlan,
    /// What it may do.
    pub confine: ConfinePlan,
}

/// The container around a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in the whole program")]
pub enum Place {
    /// One that the process builds, as its first.
    New(NewPlan),
    /// One that is there already.
    Existing(ExistingPlan),
}

impl Place {
    /// Is the process in another user namespace than the host's?
    pub fn has_user_namespace(&self) -> bool {
        match self {
            Self::New(plan) => plan.namespaces.has_user_namespace(),
            Self::Existing(plan) => plan.kinds.contains(coracle_ns::NamespaceKind::User),
        }
    }
}

/// A container to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPlan {
    /// Where it runs.
    pub namespaces: NamespacesPlan,
    /// What it sees of files.
    pub mounts: MountsPlan,
    /// What others do to it while it is built.
    pub hooks: HooksPlan,
}
