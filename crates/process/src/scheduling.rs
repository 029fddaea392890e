//! How a process is scheduled, and where its memory comes from.

use coracle_sys::SyscallError;
use coracle_sys::persona::{set_memory_policy, set_personality};
use coracle_sys::priority::{SchedAttr, set_io_priority, set_scheduler};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Numbers that the kernel gives to names.
type Numbers<N> = &'static [(&'static str, N)];

/// `SCHED_*` of sched(7). The kernel reserves the number of `SCHED_ISO` and does not implement it.
const POLICIES: Numbers<u32> = &[
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", FIFO),
    ("SCHED_RR", ROUND_ROBIN),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", ISO),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", DEADLINE),
];
const FIFO: u32 = 1;
const ROUND_ROBIN: u32 = 2;
const ISO: u32 = 4;
const DEADLINE: u32 = 6;

/// `SCHED_FLAG_*` of sched_setattr(2).
const SCHED_FLAGS: Numbers<u64> = &[
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

/// `IOPRIO_CLASS_*` of ioprio_set(2).
const CLASSES: Numbers<u8> =
    &[("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// `MPOL_*` of set_mempolicy(2).
const MODES: Numbers<u32> = &[
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", PREFERRED_MANY),
    ("MPOL_WEIGHTED_INTERLEAVE", WEIGHTED_INTERLEAVE),
];
const PREFERRED_MANY: u32 = 5;
const WEIGHTED_INTERLEAVE: u32 = 6;

/// `MPOL_F_*`, which are bits of the mode.
const MODE_FLAGS: Numbers<u32> = &[
    ("MPOL_F_NUMA_BALANCING", NUMA_BALANCING),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];
const NUMA_BALANCING: u32 = 1 << 13;

/// `PER_*` of personality(2), by the names of the OCI runtime specification.
const DOMAINS: Numbers<u32> = &[("LINUX", 0x0), ("LINUX32", 0x8)];

fn number<N: Copy>(numbers: Numbers<N>, name: &str) -> Option<N> {
    numbers.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// How a process gets processors; sched_setattr(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    policy: u32,
    flags: u64,
    /// From -20, the most favoured, to 19; of `SCHED_OTHER`, `SCHED_BATCH` and `SCHED_IDLE`.
    pub nice: i32,
    /// From 1 to 99, the most favoured; of `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// Nanoseconds of work in a period, of `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Nanoseconds from the start of a period to the end of the work in it.
    pub deadline: u64,
    /// Nanoseconds from one start to the next; 0 is `deadline`.
    pub period: u64,
}

impl Scheduler {
    /// The policy called `name`, as `SCHED_BATCH`, with nothing else set.
    pub fn named(name: &str) -> Option<Self> {
        number(POLICIES, name).map(|policy| Self { policy, ..Self::default() })
    }

    /// Adds the flag `name`, as `SCHED_FLAG_RESET_ON_FORK`.
    pub fn with_flag(self, name: &str) -> Option<Self> {
        number(SCHED_FLAGS, name).map(|flag| Self { flags: self.flags | flag, ..self })
    }

    /// Schedules the calling thread like this.
    ///
    /// `CAP_SYS_NICE` in the first user namespace, or what `RLIMIT_NICE` and `RLIMIT_RTPRIO` allow.
    pub fn apply(&self) -> Result<()> {
        let mut attr = SchedAttr::default();
        attr.policy = self.policy;
        attr.flags = self.flags;
        attr.nice = self.nice;
        attr.priority = self.priority;
        attr.runtime = self.runtime;
        attr.deadline = self.deadline;
        attr.period = self.period;
        let explain = |source: SyscallError| Error::Syscall { what: self.remedy(&source), source };
        set_scheduler(attr).map_err(explain)
    }

    fn remedy(&self, error: &SyscallError) -> &'static str {
        match (error.errno(), self.policy) {
            (Errno::PERM, DEADLINE) => {
                "cannot get SCHED_DEADLINE: it needs CAP_SYS_NICE on the host, outside of any user \
                 namespace, and all processors: no cpuset may leave some out"
            }
            (Errno::PERM, FIFO | ROUND_ROBIN) => {
                "cannot get a real-time policy: it needs CAP_SYS_NICE on the host, outside of any user \
                 namespace, or a sufficient RLIMIT_RTPRIO, and with the cpu controller of cgroup v1 a \
                 real-time runtime of the cgroup"
            }
            (Errno::PERM, _) => {
                "cannot change the scheduling: a higher rank needs CAP_SYS_NICE on the host, outside of \
                 any user namespace, or a sufficient RLIMIT_NICE"
            }
            (Errno::INVAL, ISO) => "cannot get SCHED_ISO: it is reserved, no kernel implements it",
            (Errno::OPNOTSUPP, _) => {
                "cannot clamp the utilization: this kernel is built without CONFIG_UCLAMP_TASK, leave out \
                 SCHED_FLAG_UTIL_CLAMP_MIN and SCHED_FLAG_UTIL_CLAMP_MAX"
            }
            (Errno::BUSY, DEADLINE) => {
                "cannot get SCHED_DEADLINE: so much processor time is not free, lower runtime or raise \
                 period"
            }
            _ => {
                "cannot change the scheduling: does this kernel have the policy and its flags, with \
                 these values?"
            }
        }
    }
}

/// How the input and output of a process is scheduled; ioprio_set(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoPriority {
    class: u8,
    level: u8,
}

impl IoPriority {
    /// The class `name`, as `IOPRIO_CLASS_BE`, with a level from 0, the most favoured, to 7.
    pub fn named(name: &str, level: u8) -> Option<Self> {
        number(CLASSES, name).map(|class| Self { class, level })
    }

    /// Gives it to the process group of the caller. Real time needs `CAP_SYS_NICE` or `CAP_SYS_ADMIN` in the first
    /// user namespace.
    pub fn apply(&self) -> Result<()> {
        set_io_priority(self.class, self.level).map_err(|source| Error::Syscall {
            what: "cannot set the I/O priority (IOPRIO_CLASS_RT needs CAP_SYS_NICE on the host, \
                   outside of any user namespace)",
            source,
        })
    }
}

/// Which NUMA nodes the memory of a process comes from; set_mempolicy(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPolicy {
    mode: u32,
    /// As bits: bit 0 of the first word is node 0.
    nodes: Vec<u64>,
}

impl MemoryPolicy {
    /// The mode `name`, as `MPOL_BIND`, with these nodes; bit 0 of the first word is node 0.
    pub fn named(name: &str, nodes: Vec<u64>) -> Option<Self> {
        number(MODES, name).map(|mode| Self { mode, nodes })
    }

    /// Adds the flag `name`, as `MPOL_F_STATIC_NODES`.
    pub fn with_flag(self, name: &str) -> Option<Self> {
        number(MODE_FLAGS, name).map(|flag| Self { mode: self.mode | flag, ..self })
    }

    /// Gives the calling thread this policy. What it executes inherits it.
    pub fn apply(&self) -> Result<()> {
        let explain = |source: SyscallError| Error::Syscall { what: self.remedy(&source), source };
        set_memory_policy(self.mode, &self.nodes).map_err(explain)
    }

    fn remedy(&self, error: &SyscallError) -> &'static str {
        let mode = self.mode & (NUMA_BALANCING - 1);
        match error.errno() {
            Errno::NOSYS => "cannot set a memory policy: this kernel is built without NUMA",
            Errno::INVAL if mode == WEIGHTED_INTERLEAVE => {
                "cannot set the memory policy: MPOL_WEIGHTED_INTERLEAVE needs Linux 6.9, and one of \
                 the nodes must be among those of the cpuset"
            }
            Errno::INVAL if mode == PREFERRED_MANY => {
                "cannot set the memory policy: MPOL_PREFERRED_MANY needs Linux 5.15, and one of the \
                 nodes must be among those of the cpuset"
            }
            Errno::INVAL if self.mode & NUMA_BALANCING != 0 => {
                "cannot set the memory policy: MPOL_F_NUMA_BALANCING needs Linux 5.12, and one of the \
                 nodes must be among those of the cpuset"
            }
            _ => {
                "cannot set the memory policy: one of its nodes must be there and among those of the \
                 cpuset (cat /sys/devices/system/node/online)"
            }
        }
    }
}

/// Which system the kernel appears to be; personality(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personality(u32);

impl Personality {
    /// `LINUX`, or `LINUX32` for a machine that is said to have 32 bits.
    pub fn named(name: &str) -> Option<Self> {
        number(DOMAINS, name).map(Self)
    }

    /// Gives it to the calling thread, and to what it executes.
    pub fn apply(&self) -> Result<()> {
        let what = "cannot set the personality";
        set_personality(self.0).map_err(|source| Error::Syscall { what, source })
    }
}
