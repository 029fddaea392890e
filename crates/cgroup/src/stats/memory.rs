//! Memory and swap: `memory` of both versions.

use std::collections::BTreeMap;

use super::files::{limit, lines, number, text, value};
use super::pressure::{self, Pressure};
use crate::cgroup::Target;
use crate::dir::Dir;
use crate::{Cgroup, Result};

/// Memory in use. All in bytes, but for counts.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Memory of all sorts: of processes, of the page cache, of the kernel.
    pub usage: MemoryUsage,
    /// Memory and swap together, as v1 counts them.
    pub with_swap: Option<MemoryUsage>,
    /// Swap alone, as v2 counts it.
    pub swap: Option<MemoryUsage>,
    /// Of `usage`, what the kernel uses. Only v1 counts it apart; [`raw`](Self::raw) of v2 has it as
    /// `kernel`.
    pub kernel: Option<MemoryUsage>,
    /// Buffers of TCP sockets, on v1.
    pub kernel_tcp: Option<MemoryUsage>,
    /// Of `usage`, the page cache.
    pub cache: u64,
    /// All of `memory.stat`. Its keys differ between the versions: the kernel's documentation of each has
    /// them.
    pub raw: BTreeMap<String, u64>,
    /// How many processes were killed for lack of memory.
    pub oom_kills: Option<u64>,
    /// How long it was waited for memory.
    pub pressure: Option<Pressure>,
}

impl MemoryStats {
    /// Memory that cannot be given back easily: what is used without the part of the page cache that was
    /// not touched for long. What `docker stats` and Kubernetes show.
    pub fn working_set(&self) -> u64 {
        let inactive = self.raw.get("total_inactive_file").or(self.raw.get("inactive_file"));
        self.usage.current.saturating_sub(inactive.copied().unwrap_or_default())
    }
}

/// How much is in use of one sort of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// Bytes now.
    pub current: u64,
    /// The most there were at a time (for memory Linux 5.19 on v2, for swap 6.5).
    pub peak: Option<u64>,
    /// The most there may be; `None` is any number.
    pub limit: Option<u64>,
    /// How often the limit was reached.
    pub failures: u64,
}

pub(super) fn read(cgroup: &Cgroup) -> Result<Option<MemoryStats>> {
    let stats = match cgroup.target("memory") {
        Some(Target::V1(dir)) => v1(dir)?,
        Some(Target::V2(dir)) => v2(dir)?,
        None => None,
    };
    let Some(stats) = stats else { return Ok(None) };
    Ok(Some(MemoryStats { pressure: pressure::read(cgroup, "memory.pressure")?, ..stats }))
}

fn v1(dir: &Dir) -> Result<Option<MemoryStats>> {
    let Some(usage) = v1_usage(dir, "memory")? else { return Ok(None) };
    let raw = raw(dir)?;
    let oom = text(dir, "memory.oom_control")?.unwrap_or_default();
    Ok(Some(MemoryStats {
        usage,
        with_swap: v1_usage(dir, "memory.memsw")?,
        kernel: v1_usage(dir, "memory.kmem")?,
        kernel_tcp: v1_usage(dir, "memory.kmem.tcp")?,
        cache: raw.get("total_cache").copied().unwrap_or_default(),
        raw,
        oom_kills: value(&oom, "oom_kill"),
        ..MemoryStats::default()
    }))
}

/// One sort of memory; nothing if the kernel does not count it.
fn v1_usage(dir: &Dir, sort: &str) -> Result<Option<MemoryUsage>> {
    let Some(current) = number(dir, &format!("{sort}.usage_in_bytes"))? else { return Ok(None) };
    Ok(Some(MemoryUsage {
        current,
        peak: number(dir, &format!("{sort}.max_usage_in_bytes"))?,
        limit: limit(dir, &format!("{sort}.limit_in_bytes"))?.flatten(),
        failures: number(dir, &format!("{sort}.failcnt"))?.unwrap_or_default(),
    }))
}

fn v2(dir: &Dir) -> Result<Option<MemoryStats>> {
    let Some((usage, events)) = v2_usage(dir, "memory")? else { return Ok(None) };
    let raw = raw(dir)?;
    Ok(Some(MemoryStats {
        usage,
        swap: v2_usage(dir, "memory.swap")?.map(|(usage, _)| usage),
        cache: raw.get("file").copied().unwrap_or_default(),
        raw,
        oom_kills: value(&events, "oom_kill"),
        ..MemoryStats::default()
    }))
}

/// One sort of memory, and its file of events; nothing if the kernel does not count it.
fn v2_usage(dir: &Dir, sort: &str) -> Result<Option<(MemoryUsage, String)>> {
    let Some(current) = number(dir, &format!("{sort}.current"))? else { return Ok(None) };
    let events = text(dir, &format!("{sort}.events"))?.unwrap_or_default();
    let usage = MemoryUsage {
        current,
        peak: number(dir, &format!("{sort}.peak"))?,
        limit: limit(dir, &format!("{sort}.max"))?.flatten(),
        failures: value(&events, "max").unwrap_or_default(),
    };
    Ok(Some((usage, events)))
}

fn raw(dir: &Dir) -> Result<BTreeMap<String, u64>> {
    let text = text(dir, "memory.stat")?.unwrap_or_default();
    Ok(lines(&text).map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::files::test::cgroup;
    use super::*;

    #[test]
    fn reads_version_1() {
        let stat = "cache 5\nrss 3\nnew_key 1\nhierarchical_memory_limit 9223372036854771712\n\
                    total_cache 4096\ntotal_inactive_file 1024\n";
        let oom = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        let (_temp, cgroup) = cgroup(&[
            ("memory/memory.usage_in_bytes", "8192\n"),
            ("memory/memory.max_usage_in_bytes", "9000\n"),
            ("memory/memory.limit_in_bytes", "10000\n"),
            ("memory/memory.failcnt", "3\n"),
            ("memory/memory.memsw.usage_in_bytes", "8200\n"),
            ("memory/memory.memsw.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.kmem.usage_in_bytes", "7\n"),
            ("memory/memory.stat", stat),
            ("memory/memory.oom_control", oom),
            ("memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"),
        ]);
        let stats = read(&cgroup).unwrap().unwrap();
        let usage =
            MemoryUsage { current: 8192, peak: Some(9000), limit: Some(10_000), failures: 3 };
        assert_eq!(stats.usage, usage);
        assert_eq!(stats.with_swap.unwrap().limit, None);
        assert_eq!(stats.kernel.unwrap().current, 7);
        assert_eq!((stats.kernel_tcp, stats.swap), (None, None));
        assert_eq!((stats.cache, stats.working_set()), (4096, 8192 - 1024));
        assert_eq!((stats.raw.len(), stats.raw["new_key"]), (6, 1));
        assert_eq!(stats.oom_kills, Some(2));
        assert_eq!(stats.pressure.unwrap().some.total.as_micros(), 1);
    }

    #[test]
    fn reads_version_2() {
        let events = "low 0\nhigh 0\nmax 5\noom 4\noom_kill 3\noom_group_kill 0\n";
        let (_temp, cgroup) = cgroup(&[
            ("memory.current", "8192\n"),
            ("memory.peak", "9000\n"),
            ("memory.max", "max\n"),
            ("memory.events", events),
            ("memory.swap.current", "100\n"),
            ("memory.swap.max", "200\n"),
            ("memory.swap.events", "high 0\nmax 1\nfail 2\n"),
            ("memory.stat", "anon 1\nfile 4096\nkernel 2\ninactive_file 9999\n"),
        ]);
        let stats = read(&cgroup).unwrap().unwrap();
        let usage = MemoryUsage { current: 8192, peak: Some(9000), limit: None, failures: 5 };
        assert_eq!(stats.usage, usage);
        let swap = MemoryUsage { current: 100, peak: None, limit: Some(200), failures: 1 };
        assert_eq!(stats.swap, Some(swap));
        assert_eq!((stats.with_swap, stats.kernel), (None, None));
        assert_eq!((stats.cache, stats.working_set(), stats.raw["kernel"]), (4096, 0, 2));
        assert_eq!((stats.oom_kills, stats.pressure), (Some(3), None));
    }

    #[test]
    fn a_missing_controller_has_no_numbers() {
        let (_temp, cgroup) = cgroup(&[("cpu.stat", ""), ("memory.pressure", "")]);
        assert_eq!(read(&cgroup).unwrap(), None);
    }
}
