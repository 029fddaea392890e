//! `/linux/seccomp`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#seccomp>.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::TextList;

// What a filter depends on besides these fields belongs into the key of those that are kept, too.
/// Which system calls a container may make; seccomp(2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Seccomp {
    /// What happens on a call that no rule is about, as `SCMP_ACT_ERRNO`.
    pub default_action: String,
    /// The error number, or the number for a tracer, that goes with it.
    pub default_errno_ret: Option<u32>,
    /// As `SECCOMP_FILTER_FLAG_LOG`. A runtime chooses if there is no list; an empty one means none.
    pub flags: Option<Vec<String>>,
    /// The socket of the agent that `SCMP_ACT_NOTIFY` asks.
    pub listener_path: Option<PathBuf>,
    /// What that agent is told besides the container's state.
    pub listener_metadata: Option<String>,
    /// As `SCMP_ARCH_X86_64`; the host's own needs no mention.
    pub architectures: Vec<String>,
    /// The rules.
    pub syscalls: Vec<Syscall>,
}

/// A rule about some system calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Syscall {
    /// Their names, as `mkdirat`; not empty.
    pub names: TextList,
    /// What happens on them, as `SCMP_ACT_ALLOW`.
    pub action: String,
    /// The error number, or the number for a tracer, that goes with it.
    pub errno_ret: Option<u32>,
    /// What must be true of the arguments of a call.
    pub args: Vec<SyscallArg>,
}

/// A comparison of an argument of a system call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SyscallArg {
    /// Which argument, from 0 to 5.
    pub index: u32,
    /// What it is compared with or, for `SCMP_CMP_MASKED_EQ`, the mask.
    pub value: u64,
    /// What the masked argument is compared with.
    pub value_two: u64,
    /// How, as `SCMP_CMP_EQ`.
    pub op: String,
}
