//! What the container runs.

use std::path::PathBuf;

use coracle_process::{
    Credentials, IoPriority, MemoryPolicy, Personality, Rlimit, Scheduler, WindowSize,
};
use serde::{Deserialize, Serialize};

use super::Slot;

/// The container's first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// The command; the first is the program.
    pub args: Vec<String>,
    /// The environment. `HOME` is added from the container's `/etc/passwd` if it is missing.
    pub env: Vec<String>,
    /// The first of its descriptors are sockets that it shall serve: it is told its own number for them, as
    /// sd_listen_fds(3) expects.
    pub listens: bool,
    /// The working directory, made if it is missing.
    pub cwd: PathBuf,
    /// Who it runs as.
    pub credentials: Credentials,
    /// Its resource limits.
    pub rlimits: Vec<Rlimit>,
    /// Its weight when memory runs out.
    pub oom_score_adj: Option<OomScoreAdj>,
    /// The processors it may run on.
    pub cpus: CpuAffinity,
    /// How it gets them.
    pub scheduler: Option<Scheduler>,
    /// How its input and output is scheduled.
    pub io_priority: Option<IoPriority>,
    /// Where its memory comes from.
    pub memory_policy: Option<MemoryPolicy>,
    /// Which system the kernel appears to be.
    pub personality: Option<Personality>,
    /// The name of the new session keyring; without one it stays in the caller's.
    pub keyring: Option<String>,
    /// Standard input, output and error.
    pub stdio: [Slot; 3],
    /// The streams are the container's alone: its user may own them.
    pub own_stdio: bool,
    /// Descriptors that it finds from number 3 on.
    pub preserved: Vec<Slot>,
    /// A terminal instead of the three streams.
    pub terminal: Option<TerminalPlan>,
    /// What it waits for before the command is executed.
    pub gate: StartGate,
}

/// What is added to the badness of a process when memory runs out; proc_pid_oom_score_adj(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomScoreAdj {
    /// From -1000 to 1000.
    pub value: i32,
    /// Where the caller has no right to lower it so far, it stays what it is.
    pub lenient: bool,
}

/// The processors that a process may run on, as bits of a mask: bit 0 of the first word is CPU 0.
///
/// Without a mask for it the process may, from its cgroup on, run on all that the cgroup has: what the caller
/// was bound to is the caller's business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuAffinity {
    /// Until it is in its cgroup.
    pub before: Option<Vec<u64>>,
    /// From then on.
    pub after: Option<Vec<u64>>,
}

/// A terminal to be made in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalPlan {
    /// Its size; unknown is 0 by 0.
    pub size: Option<WindowSize>,
}

/// What starts a container that has been created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartGate {
    /// [`ToInit::Go`](crate::wire::ToInit::Go) of the host, which stays.
    Message,
    /// Somebody writes a byte to a FIFO, at any time.
    Fifo {
        /// The FIFO, open in both directions.
        start: Slot,
        /// Another one for the reason of a failure; it closes when the command is executed.
        result: Slot,
    },
}
