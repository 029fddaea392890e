//! Processor time: `cpuacct` and `cpu` of v1, `cpu.stat` of v2.

use std::time::Duration;

use super::files::{lines, number, text, value};
use super::pressure::{self, Pressure};
use crate::dir::Dir;
use crate::{Cgroup, Result};

/// In which `cpuacct.stat` counts: `USER_HZ` is 100 on every architecture for which there is Rust.
const TICK: Duration = Duration::from_millis(10);

/// Processor time used, and withheld.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct CpuStats {
    /// Time used on all processors together.
    pub usage: Duration,
    /// Of it, in user mode. On v1 in steps of 10 ms.
    pub user: Duration,
    /// Of it, in the kernel. On v1 in steps of 10 ms.
    pub system: Duration,
    /// Time used on each processor, by its number, with those that could be plugged in. Empty on v2.
    pub per_cpu: Vec<CpuTime>,
    /// What the quota has withheld. `None` where the controller `cpu` is missing.
    pub throttling: Option<Throttling>,
    /// How long it was waited for a processor.
    pub pressure: Option<Pressure>,
}

/// Time used on one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CpuTime {
    /// In all.
    pub usage: Duration,
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// What a quota of processor time has withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Throttling {
    /// Periods in which there was something to run and a quota.
    pub periods: u64,
    /// Of them, those in which the quota was used up.
    pub throttled_periods: u64,
    /// How long processes could have run and had to wait, on all processors together.
    pub throttled_time: Duration,
    /// Periods in which more than the quota was used, as a burst (Linux 5.15).
    pub bursts: Option<u64>,
    /// How much more (Linux 5.15).
    pub burst_time: Option<Duration>,
}

pub(super) fn read(cgroup: &Cgroup) -> Result<Option<CpuStats>> {
    let unified = match &cgroup.unified {
        Some(dir) => text(dir, "cpu.stat")?,
        None => None,
    };
    let legacy = cgroup.v1("cpuacct").map(v1).transpose()?.flatten();
    let Some(mut stats) = legacy.or_else(|| v2(unified.as_deref()?)) else { return Ok(None) };
    stats.throttling = match cgroup.v1("cpu") {
        Some(dir) => text(dir, "cpu.stat")?.as_deref().and_then(v1_throttling),
        None => unified.as_deref().and_then(v2_throttling),
    };
    stats.pressure = pressure::read(cgroup, "cpu.pressure")?;
    Ok(Some(stats))
}

fn v1(dir: &Dir) -> Result<Option<CpuStats>> {
    let Some(usage) = number(dir, "cpuacct.usage")? else { return Ok(None) };
    let stat = text(dir, "cpuacct.stat")?.unwrap_or_default();
    let ticks = |key| {
        let ticks = value(&stat, key).unwrap_or_default();
        TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    };
    let usages = text(dir, "cpuacct.usage_percpu")?.unwrap_or_default();
    let modes = text(dir, "cpuacct.usage_all")?.unwrap_or_default();
    Ok(Some(CpuStats {
        usage: Duration::from_nanos(usage),
        user: ticks("user"),
        system: ticks("system"),
        per_cpu: per_cpu(&usages, &modes),
        ..CpuStats::default()
    }))
}

/// From the numbers of `cpuacct.usage_percpu` and the lines `CPU USER SYSTEM` of `cpuacct.usage_all`.
fn per_cpu(usages: &str, modes: &str) -> Vec<CpuTime> {
    let nanos = |word: &str| word.parse().ok().map(Duration::from_nanos);
    let usages = usages.split_whitespace().map_while(nanos);
    let mut all: Vec<_> = usages.map(|usage| CpuTime { usage, ..CpuTime::default() }).collect();
    for line in modes.lines() {
        let mut words = line.split(' ');
        let cpu = words.next().and_then(|word| word.parse::<usize>().ok());
        let Some(time) = cpu.and_then(|cpu| all.get_mut(cpu)) else { continue };
        [time.user, time.system] =
            [words.next(), words.next()].map(|word| word.and_then(nanos).unwrap_or_default());
    }
    all
}

fn v2(stat: &str) -> Option<CpuStats> {
    let micros = |key| value(stat, key).map(Duration::from_micros);
    Some(CpuStats {
        usage: micros("usage_usec")?,
        user: micros("user_usec").unwrap_or_default(),
        system: micros("system_usec").unwrap_or_default(),
        ..CpuStats::default()
    })
}

fn v1_throttling(stat: &str) -> Option<Throttling> {
    let nanos = |key| value(stat, key).map(Duration::from_nanos);
    throttling(stat, nanos("throttled_time"), nanos("burst_time"))
}

fn v2_throttling(stat: &str) -> Option<Throttling> {
    let micros = |key| value(stat, key).map(Duration::from_micros);
    throttling(stat, micros("throttled_usec"), micros("burst_usec"))
}

/// Nothing where the controller is missing: then `cpu.stat` of v2 has the times only.
fn throttling(
    stat: &str,
    throttled_time: Option<Duration>,
    burst_time: Option<Duration>,
) -> Option<Throttling> {
    let count = lines(stat).filter(|(key, _)| key.starts_with("nr_"));
    let mut throttling =
        Throttling { throttled_time: throttled_time?, burst_time, ..Throttling::default() };
    for (key, count) in count {
        match key {
            "nr_periods" => throttling.periods = count,
            "nr_throttled" => throttling.throttled_periods = count,
            "nr_bursts" => throttling.bursts = Some(count),
            _ => {}
        }
    }
    Some(throttling)
}

#[cfg(test)]
mod tests {
    use super::super::files::test::cgroup;
    use super::*;

    const PRESSURE: &str = "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n";

    #[test]
    fn reads_version_1() {
        let (_temp, cgroup) = cgroup(&[
            ("cpuacct/cpuacct.usage", "12345678901\n"),
            ("cpuacct/cpuacct.stat", "user 1002\nsystem 203\n"),
            ("cpuacct/cpuacct.usage_percpu", "12000000000 345678901 0 \n"),
            ("cpuacct/cpuacct.usage_all", "cpu user system\n0 5 6\n1 7 8 9\n2 0 0\n3 1 1\n"),
            (
                "cpu/cpu.stat",
                "nr_periods 10\nnr_throttled 2\nthrottled_time 3000\nnr_bursts 1\nburst_time 7\n",
            ),
            ("cpu.stat", "usage_usec 1\n"),
            ("cpu.pressure", PRESSURE),
        ]);
        let stats = read(&cgroup).unwrap().unwrap();
        assert_eq!(stats.usage, Duration::from_nanos(12_345_678_901));
        assert_eq!(stats.user, Duration::from_millis(10_020));
        assert_eq!(stats.system, Duration::from_millis(2030));
        let [first, second, third] = stats.per_cpu.try_into().unwrap();
        assert_eq!(first.usage, Duration::from_secs(12));
        assert_eq!(first.user, Duration::from_nanos(5));
        assert_eq!(second.system, Duration::from_nanos(8));
        assert_eq!(third, CpuTime::default());
        let expected = Throttling {
            periods: 10,
            throttled_periods: 2,
            throttled_time: Duration::from_nanos(3000),
            bursts: Some(1),
            burst_time: Some(Duration::from_nanos(7)),
        };
        assert_eq!(stats.throttling, Some(expected));
        assert_eq!(stats.pressure.unwrap().some.avg10, 1.5);
    }

    #[test]
    fn reads_version_2() {
        // As Linux 6.18 writes it.
        let stat = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnice_usec 0\n\
                    core_sched.force_idle_usec 0\nnr_periods 4\nnr_throttled 3\n\
                    throttled_usec 250\nnr_bursts 0\nburst_usec 0\n";
        let (_temp, cgroup) = cgroup(&[("cpu.stat", stat)]);
        let stats = read(&cgroup).unwrap().unwrap();
        assert_eq!(stats.usage, Duration::from_micros(1500));
        assert_eq!(stats.user + stats.system, stats.usage);
        assert!(stats.per_cpu.is_empty() && stats.pressure.is_none());
        let throttling = stats.throttling.unwrap();
        assert_eq!(throttling.throttled_time, Duration::from_micros(250));
        assert_eq!((throttling.periods, throttling.throttled_periods), (4, 3));
        assert_eq!(throttling.burst_time, Some(Duration::ZERO));
    }

    #[test]
    fn takes_what_there_is() {
        let (_temp, bare) = cgroup(&[("cpu.stat", "usage_usec 5\n")]);
        let stats = read(&bare).unwrap().unwrap();
        assert_eq!(stats, CpuStats { usage: Duration::from_micros(5), ..CpuStats::default() });
        // Linux 5.10 has no bursts.
        let old = v1_throttling("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n").unwrap();
        assert_eq!(old, Throttling::default());
        assert_eq!(read(&Cgroup::default()).unwrap(), None);
    }
}
