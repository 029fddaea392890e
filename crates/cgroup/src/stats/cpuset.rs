//! Processors and memory nodes: `cpuset` of both versions.

use super::files::{number, text};
use crate::cgroup::Target;
use crate::dir::Dir;
use crate::{Cgroup, Result};

/// Which processors and memory nodes the processes may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CpusetStats {
    /// The numbers of the processors, those offline left out.
    pub cpus: Vec<u16>,
    /// The numbers of the memory nodes.
    pub mems: Vec<u16>,
    /// The settings that only v1 has.
    pub flags: Option<CpusetFlags>,
}

/// Settings of v1; see the kernel's Documentation/admin-guide/cgroup-v1/cpusets.rst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CpusetFlags {
    /// No other cgroup beside it has its processors.
    pub cpu_exclusive: bool,
    /// No other cgroup beside it has its memory nodes.
    pub mem_exclusive: bool,
    /// Memory of the kernel is taken from its memory nodes too.
    pub mem_hardwall: bool,
    /// Memory moves along when the memory nodes change.
    pub memory_migrate: bool,
    /// The page cache is spread over the memory nodes.
    pub memory_spread_page: bool,
    /// Slabs of the file systems are spread over the memory nodes.
    pub memory_spread_slab: bool,
    /// Load is balanced between its processors.
    pub sched_load_balance: bool,
    /// How far away an idle processor is looked for; -1 is the system's default.
    pub sched_relax_domain_level: i64,
    /// How often memory had to be freed first: a running average, a thousand for once a second.
    pub memory_pressure: u64,
}

pub(super) fn read(cgroup: &Cgroup) -> Result<Option<CpusetStats>> {
    match cgroup.target("cpuset") {
        Some(Target::V1(dir)) => {
            let stats = lists(dir, "cpuset.effective_cpus", "cpuset.effective_mems")?;
            let with_flags = |stats| Ok(CpusetStats { flags: Some(flags(dir)?), ..stats });
            stats.map(with_flags).transpose()
        }
        Some(Target::V2(dir)) => lists(dir, "cpuset.cpus.effective", "cpuset.mems.effective"),
        None => Ok(None),
    }
}

fn lists(dir: &Dir, cpus: &str, mems: &str) -> Result<Option<CpusetStats>> {
    let Some(cpus) = list(dir, cpus)? else { return Ok(None) };
    let mems = list(dir, mems)?.unwrap_or_default();
    Ok(Some(CpusetStats { cpus, mems, flags: None }))
}

fn list(dir: &Dir, file: &str) -> Result<Option<Vec<u16>>> {
    let Some(text) = text(dir, file)? else { return Ok(None) };
    let list = parse_list(text.trim());
    list.map(Some).ok_or_else(|| dir.malformed(file, &text, "a list as 0-3,7"))
}

/// A list of numbers and ranges, as `0-3,7`.
fn parse_list(text: &str) -> Option<Vec<u16>> {
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<u16>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

fn flags(dir: &Dir) -> Result<CpusetFlags> {
    let number = |file: &str| Ok(number(dir, file)?.unwrap_or_default());
    let flag = |file: &str| Ok(number(file)? != 0);
    let level = text(dir, "cpuset.sched_relax_domain_level")?;
    Ok(CpusetFlags {
        cpu_exclusive: flag("cpuset.cpu_exclusive")?,
        mem_exclusive: flag("cpuset.mem_exclusive")?,
        mem_hardwall: flag("cpuset.mem_hardwall")?,
        memory_migrate: flag("cpuset.memory_migrate")?,
        memory_spread_page: flag("cpuset.memory_spread_page")?,
        memory_spread_slab: flag("cpuset.memory_spread_slab")?,
        sched_load_balance: flag("cpuset.sched_load_balance")?,
        sched_relax_domain_level: level.and_then(|text| text.trim().parse().ok()).unwrap_or(-1),
        memory_pressure: number("cpuset.memory_pressure")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::test::cgroup;
    use super::*;

    #[test]
    fn lists_of_numbers() {
        assert_eq!(parse_list(""), Some(vec![]));
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list("0-3,7,9-10"), Some(vec![0, 1, 2, 3, 7, 9, 10]));
        for bad in ["a", "0-", "-1", "1-2-3", "70000"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_version_1() {
        let (_temp, cgroup) = cgroup(&[
            ("cpuset/cpuset.effective_cpus", "0-1\n"),
            ("cpuset/cpuset.effective_mems", "0\n"),
            ("cpuset/cpuset.sched_load_balance", "1\n"),
            ("cpuset/cpuset.sched_relax_domain_level", "-1\n"),
            ("cpuset/cpuset.memory_pressure", "17\n"),
        ]);
        let stats = read(&cgroup).unwrap().unwrap();
        assert_eq!((stats.cpus, stats.mems), (vec![0, 1], vec![0]));
        let flags = stats.flags.unwrap();
        assert!(flags.sched_load_balance && !flags.cpu_exclusive);
        assert_eq!((flags.sched_relax_domain_level, flags.memory_pressure), (-1, 17));
    }

    #[test]
    fn reads_version_2() {
        let files = [("cpuset.cpus.effective", "1,3\n"), ("cpuset.mems.effective", "\n")];
        let (_temp, cgroup) = cgroup(&files);
        let stats = read(&cgroup).unwrap().unwrap();
        assert_eq!(stats, CpusetStats { cpus: vec![1, 3], ..CpusetStats::default() });
    }
}
