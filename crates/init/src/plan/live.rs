//! Mounts of a container that is there already.

use std::path::PathBuf;

use coracle_ns::KindSet;
use serde::{Deserialize, Serialize};

use super::{MountStep, Slot};

/// What changes in the mount namespace of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivePlan {
    /// The lock of the container, held to the end: should the host be killed, others wait nevertheless.
    pub lock: Slot,
    /// A pidfd of its first process.
    pub init: Slot,
    /// Of its mount and user namespace those that are not the host's.
    pub kinds: KindSet,
    /// How the mounts change.
    pub change: MountChange,
}

/// How mounts change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountChange {
    /// These are mounted, in this order, or none of them.
    Add(Vec<MountStep>),
    /// What is mounted on top at these places is taken away.
    Remove {
        /// The names of the places in errors, as `/mounts/3`, and where they are, as the container sees it.
        places: Vec<(String, PathBuf)>,
        /// Where the container has a mount from its creation, once for each.
        kept: Vec<PathBuf>,
    },
}
