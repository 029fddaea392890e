//! What a container is doing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a container, as the OCI runtime specification and runc have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being created at this moment.
    Creating,
    /// It waits for its start.
    Created,
    /// Its first process runs the command.
    Running,
    /// It is frozen.
    Paused,
    /// Its first process has ended, or its creation did.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}
