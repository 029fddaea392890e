//! The numbers in the shape that runc prints them in: times in nanoseconds, sizes in bytes.
//!
//! What runc leaves out when it is zero is left out here too; the keys are part of the interface.

mod blkio;
mod cpu;
mod memory;
mod rdt;

use std::collections::BTreeMap;
use std::time::Duration;

use coracle_cgroup::{CpusetStats, HugePageStats, PidsStats, Pressure, Stall, Stats};
use coracle_rdt::Stats as RdtStats;
use serde::Serialize;

use blkio::Blkio;
use cpu::Cpu;
use memory::Memory;
use rdt::Rdt;

#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    cpu: Cpu,
    cpuset: Cpuset<'a>,
    memory: Memory<'a>,
    pids: Pids,
    blkio: Blkio,
    hugetlb: BTreeMap<&'a str, HugePages>,
    intel_rdt: Rdt<'a>,
    /// runc tells of those that it made itself, which it does not.
    network_interfaces: Option<Empty>,
}

#[derive(Debug, Serialize)]
struct Empty {}

impl<'a> Report<'a> {
    pub(super) fn new(stats: &'a Stats, rdt: Option<&'a RdtStats>) -> Self {
        let huge_pages = stats.huge_pages.iter();
        Self {
            cpu: stats.cpu.as_ref().map(Cpu::new).unwrap_or_default(),
            cpuset: stats.cpuset.as_ref().map(Cpuset::new).unwrap_or_default(),
            memory: stats.memory.as_ref().map(Memory::new).unwrap_or_default(),
            pids: stats.pids.as_ref().map(Pids::new).unwrap_or_default(),
            blkio: stats.block_io.as_ref().map(Blkio::new).unwrap_or_default(),
            hugetlb: huge_pages
                .map(|(size, pages)| (size.as_str(), HugePages::new(pages)))
                .collect(),
            intel_rdt: rdt.map(Rdt::new).unwrap_or_default(),
            network_interfaces: None,
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Cpuset<'a> {
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    cpus: &'a [u16],
    cpu_exclusive: u64,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    mems: &'a [u16],
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

impl<'a> Cpuset<'a> {
    fn new(cpuset: &'a CpusetStats) -> Self {
        let flags = cpuset.flags.unwrap_or_default();
        Self {
            cpus: &cpuset.cpus,
            cpu_exclusive: flags.cpu_exclusive.into(),
            mems: &cpuset.mems,
            mem_hardwall: flags.mem_hardwall.into(),
            mem_exclusive: flags.mem_exclusive.into(),
            memory_migrate: flags.memory_migrate.into(),
            memory_spread_page: flags.memory_spread_page.into(),
            memory_spread_slab: flags.memory_spread_slab.into(),
            memory_pressure: flags.memory_pressure,
            sched_load_balance: flags.sched_load_balance.into(),
            sched_relax_domain_level: flags.sched_relax_domain_level,
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

impl Pids {
    fn new(pids: &PidsStats) -> Self {
        Self { current: pids.current, limit: pids.limit.unwrap_or_default() }
    }
}

#[derive(Debug, Serialize)]
struct HugePages {
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

impl HugePages {
    /// Where reservations are counted runc tells of them, and not of use.
    fn new(pages: &HugePageStats) -> Self {
        let usage = pages.reserved.unwrap_or(pages.usage);
        Self {
            usage: usage.current,
            max: usage.peak.unwrap_or_default(),
            failcnt: usage.failures.or(pages.usage.failures).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Psi {
    some: PsiTimes,
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<PsiTimes>,
}

#[derive(Debug, Serialize)]
struct PsiTimes {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    /// In microseconds, unlike all other times.
    total: u64,
}

impl Psi {
    fn new(pressure: &Pressure) -> Self {
        let full = pressure.full.as_ref().map(PsiTimes::new);
        Self { some: PsiTimes::new(&pressure.some), full }
    }
}

impl PsiTimes {
    fn new(stall: &Stall) -> Self {
        let Stall { avg10, avg60, avg300, total, .. } = *stall;
        let total = u64::try_from(total.as_micros()).unwrap_or(u64::MAX);
        Self { avg10, avg60, avg300, total }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_accounted_for_has_its_keys_all_the_same() {
        let entry = r#"{"limit":0,"failcnt":0}"#;
        let cpuset = r#"{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0}"#;
        assert_eq!(
            serde_json::to_string(&Report::new(&Stats::default(), None)).unwrap(),
            format!(
                r#"{{"cpu":{{"usage":{{"kernel":0,"user":0}},"throttling":{{}}}},"cpuset":{cpuset},"memory":{{"usage":{entry},"swap":{entry},"kernel":{entry},"kernelTCP":{entry}}},"pids":{{}},"blkio":{{}},"hugetlb":{{}},"intel_rdt":{{}},"network_interfaces":null}}"#
            )
        );
    }

    #[test]
    fn reservations_come_before_use() {
        let mut pages = HugePageStats::default();
        (pages.usage.current, pages.usage.failures) = (1, Some(3));
        let json = |pages: &HugePageStats| serde_json::to_string(&HugePages::new(pages)).unwrap();
        assert_eq!(json(&pages), r#"{"usage":1,"failcnt":3}"#);
        let mut reserved = pages.usage;
        (reserved.current, reserved.failures) = (2, None);
        pages.reserved = Some(reserved);
        assert_eq!(json(&pages), r#"{"usage":2,"failcnt":3}"#);
    }

    #[test]
    fn pressure_is_in_percent_and_microseconds() {
        let mut pressure = Pressure::default();
        (pressure.some.avg10, pressure.some.total) = (1.25, Duration::from_micros(9));
        assert_eq!(
            serde_json::to_string(&Psi::new(&pressure)).unwrap(),
            r#"{"some":{"avg10":1.25,"avg60":0.0,"avg300":0.0,"total":9}}"#
        );
    }
}
