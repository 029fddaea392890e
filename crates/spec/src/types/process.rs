//! `/process`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#process>.

use std::path::PathBuf;

use serde::Deserialize;

/// The process that a container runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Process {
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// The size of that terminal.
    pub console_size: Option<ConsoleSize>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// The environment, as `NAME=value`.
    pub env: Vec<String>,
    /// The command, the program first; not empty.
    pub args: Vec<String>,
    /// Resource limits, each once.
    pub rlimits: Vec<Rlimit>,
    /// The AppArmor profile.
    pub apparmor_profile: Option<String>,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// Whether execve(2) never gives it more rights (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
    /// How likely it is killed when memory is out, from -1000 to 1000 (proc_pid_oom_score_adj(5)).
    pub oom_score_adj: Option<i32>,
    /// How it is scheduled.
    pub scheduler: Option<Scheduler>,
    /// The SELinux label.
    pub selinux_label: Option<String>,
    /// How its input and output is scheduled.
    pub io_priority: Option<IoPriority>,
    /// Where commands run that later join the container.
    #[serde(rename = "execCPUAffinity")]
    pub exec_cpu_affinity: ExecCpuAffinity,
    /// Whose rights it has.
    pub user: User,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsoleSize {
    /// Lines.
    pub height: u16,
    /// Characters a line.
    pub width: u16,
}

/// IDs of a process, as the container sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct User {
    /// The user ID.
    pub uid: u32,
    /// The group ID.
    pub gid: u32,
    /// The file mode creation mask (umask(2)).
    pub umask: Option<u32>,
    /// Supplementary group IDs.
    pub additional_gids: Vec<u32>,
}

/// A resource limit; getrlimit(2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rlimit {
    /// The `type`, as `RLIMIT_NOFILE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is enforced.
    pub soft: u64,
    /// How far the process may raise `soft`.
    pub hard: u64,
}

/// Sets of capabilities; capabilities(7). The names are as `CAP_KILL`, and known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Capabilities {
    /// Those in force.
    pub effective: Vec<String>,
    /// Those that a program file can give.
    pub bounding: Vec<String>,
    /// Those that a program file can let pass.
    pub inheritable: Vec<String>,
    /// Those that can become effective.
    pub permitted: Vec<String>,
    /// Those that a program without any of its own keeps.
    pub ambient: Vec<String>,
}

/// How a process is scheduled; sched_setattr(2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Scheduler {
    /// The policy, as `SCHED_BATCH`.
    pub policy: String,
    /// From -20, the most favoured, to 19.
    pub nice: i32,
    /// Of `SCHED_FIFO` and `SCHED_RR`, at most 99.
    pub priority: u32,
    /// As `SCHED_FLAG_RESET_ON_FORK`.
    pub flags: Vec<String>,
    /// Nanoseconds of work a period, of `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Nanoseconds from the start of a period to the end of the work in it.
    pub deadline: u64,
    /// Nanoseconds from one start to the next.
    pub period: u64,
}

/// How the input and output of a process is scheduled; ioprio_set(2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IoPriority {
    /// The class, as `IOPRIO_CLASS_BE`.
    pub class: String,
    /// From 0, the most favoured, to 7.
    pub priority: u8,
}

/// Where commands run that join a container: lists of CPUs as `0-3,7`, without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExecCpuAffinity {
    /// Until the command is in the container's cgroup.
    pub initial: Option<String>,
    /// From then on.
    pub r#final: Option<String>,
}
