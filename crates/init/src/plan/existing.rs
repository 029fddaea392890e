//! A container that a process enters.

use coracle_ns::KindSet;
use serde::{Deserialize, Serialize};

use super::Slot;

/// The way into a container that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExistingPlan {
    /// A pidfd of its first process.
    pub init: Slot,
    /// The namespaces of that process that are not the host's.
    pub kinds: KindSet,
}
