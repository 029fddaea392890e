//! The controllers of cgroup v2; see the kernel's Documentation/admin-guide/cgroup-v2.rst.

pub(crate) mod cpu;
pub(crate) mod cpuset;
pub(crate) mod devices;
pub(crate) mod enable;
pub(crate) mod events;
pub(crate) mod freezer;
pub(crate) mod hugetlb;
pub(crate) mod io;
pub(crate) mod memory;
pub(crate) mod unified;
