//! How the calling thread is scheduled: sched_setattr(2) and ioprio_set(2).

use linux_raw_sys::general as raw;

use crate::{Result, SyscallError};

/// `IOPRIO_WHO_PGRP` of ioprio_set(2).
const PROCESS_GROUP: libc::c_int = 2;

/// `struct sched_attr` of sched_setattr(2), in its first version, which every kernel takes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedAttr {
    size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// From -20 to 19.
    pub nice: i32,
    /// From 1 to 99, of real-time policies.
    pub priority: u32,
    /// Nanoseconds of work in a period, of `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Nanoseconds from the start of a period to the end of the work in it.
    pub deadline: u64,
    /// Nanoseconds from one start to the next.
    pub period: u64,
    util_min: u32,
    util_max: u32,
}

/// `SCHED_FLAG_UTIL_CLAMP_MIN` and `SCHED_FLAG_UTIL_CLAMP_MAX`: only with them the kernel reads the last two fields.
const UTIL_CLAMP: u64 = 0x60;

/// The size of the structure without these (`SCHED_ATTR_SIZE_VER0`).
const SIZE_WITHOUT_CLAMP: u32 = 48;

/// Schedules the calling thread like this. Linux 3.14; the utilization clamps 5.3.
pub fn set_scheduler(attr: SchedAttr) -> Result<()> {
    let size = match attr.flags & UTIL_CLAMP {
        0 => SIZE_WITHOUT_CLAMP,
        _ => SIZE_WITHOUT_CLAMP + 8,
    };
    let attr = SchedAttr { size, ..attr };
    // SAFETY: the structure is as the kernel knows it, and at least as long as it says.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_sched_setattr.cast_signed()),
            0,
            &raw const attr,
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("sched_setattr", attr.to_string())) }
}

/// Without what is not set.
impl std::fmt::Display for SchedAttr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "policy {}, nice {}, priority {}", self.policy, self.nice, self.priority)?;
        for (name, value) in
            [("runtime", self.runtime), ("deadline", self.deadline), ("period", self.period)]
        {
            if value != 0 {
                write!(f, ", {name} {value}")?;
            }
        }
        if self.flags != 0 { write!(f, ", flags {:#x}", self.flags) } else { Ok(()) }
    }
}

/// Gives the process group of the caller the I/O priority `level`, from 0 to 7, of `class`: 1 is real time, 2 best
/// effort, 3 idle.
pub fn set_io_priority(class: u8, level: u8) -> Result<()> {
    let value = libc::c_int::from(class) << 13 | libc::c_int::from(level);
    // SAFETY: only numbers are passed.
    let result = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_ioprio_set.cast_signed()),
            PROCESS_GROUP,
            0,
            value,
        )
    };
    let args = || format!("own process group, class {class}, level {level}");
    if result == 0 { Ok(()) } else { Err(SyscallError::last("ioprio_set", args())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    #[test]
    fn a_thread_is_scheduled_as_it_is_asked() {
        assert_eq!(size_of::<SchedAttr>(), 56);
        let batch = SchedAttr { policy: 3, nice: 2, ..SchedAttr::default() };
        set_scheduler(batch).unwrap();
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        assert_eq!((fields[16], fields[38]), ("2", "3"));
        let error = set_scheduler(SchedAttr { policy: 99, ..batch }).unwrap_err();
        assert_eq!(error.errno(), Errno::INVAL);
        assert_eq!(error.args(), "policy 99, nice 2, priority 0");
    }
}
