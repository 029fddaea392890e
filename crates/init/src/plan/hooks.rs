//! What others do to a container while it is built.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The hooks that concern the process: when the host runs its own, and those that are run here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksPlan {
    /// The host has hooks for when all is mounted: `prestart` and `createRuntime`.
    pub host: bool,
    /// `createContainer`: programs of the host, run in the container's namespaces before the root changes.
    pub create_container: Vec<HookPlan>,
    /// `startContainer`: programs of the container, run right before its command.
    pub start_container: Vec<HookPlan>,
    /// The container's state without status and pid: a JSON object that still lacks its last brace.
    pub state: String,
}

/// A program to be run to its end, with the container's state on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookPlan {
    /// What it is called in errors, as `/hooks/prestart/0`.
    pub name: String,
    /// The program.
    pub path: PathBuf,
    /// Its arguments, its own name first.
    pub args: Vec<String>,
    /// Its environment; nothing stands for that of whoever runs it.
    pub env: Option<Vec<String>>,
    /// How long it may take; nothing stands for any time.
    pub timeout: Option<Duration>,
}
