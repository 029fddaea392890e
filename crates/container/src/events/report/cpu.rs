//! Processor time.

use std::time::Duration;

use coracle_cgroup::{CpuStats, CpuTime};
use serde::Serialize;

use super::{Psi, is_zero, nanos};

#[derive(Debug, Default, Serialize)]
pub(super) struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    burst: Option<Burst>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Default, Serialize)]
struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_user: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Burst {
    bursts_periods: u64,
    burst_time: u64,
}

impl Cpu {
    pub(super) fn new(cpu: &CpuStats) -> Self {
        let times = |time: fn(&CpuTime) -> Duration| {
            cpu.per_cpu.iter().map(|cpu| nanos(time(cpu))).collect()
        };
        let usage = CpuUsage {
            total: nanos(cpu.usage),
            percpu: times(|cpu| cpu.usage),
            percpu_kernel: times(|cpu| cpu.system),
            percpu_user: times(|cpu| cpu.user),
            kernel: nanos(cpu.system),
            user: nanos(cpu.user),
        };
        let throttling = cpu.throttling.unwrap_or_default();
        let burst = throttling.bursts.filter(|bursts| *bursts > 0).map(|bursts| Burst {
            bursts_periods: bursts,
            burst_time: nanos(throttling.burst_time.unwrap_or_default()),
        });
        let throttling = Throttling {
            periods: throttling.periods,
            throttled_periods: throttling.throttled_periods,
            throttled_time: nanos(throttling.throttled_time),
        };
        Self { usage, throttling, burst, psi: cpu.pressure.as_ref().map(Psi::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nanoseconds() {
        let mut throttling = coracle_cgroup::Throttling::default();
        let mut cpu = CpuStats::default();
        cpu.usage = Duration::from_micros(3);
        cpu.user = Duration::from_nanos(5);
        throttling.throttled_periods = 2;
        throttling.throttled_time = Duration::from_micros(7);
        throttling.bursts = Some(0);
        cpu.throttling = Some(throttling);
        let json = |cpu: &CpuStats| serde_json::to_string(&Cpu::new(cpu)).unwrap();
        assert_eq!(
            json(&cpu),
            r#"{"usage":{"total":3000,"kernel":0,"user":5},"throttling":{"throttledPeriods":2,"throttledTime":7000}}"#
        );
        throttling.bursts = Some(1);
        throttling.burst_time = Some(Duration::from_micros(1));
        cpu.throttling = Some(throttling);
        let mut time = CpuTime::default();
        (time.usage, time.system) = (Duration::from_nanos(9), Duration::from_nanos(4));
        cpu.per_cpu = vec![time, CpuTime::default()];
        let text = json(&cpu);
        assert!(text.contains(r#""burst":{"burstsPeriods":1,"burstTime":1000}"#), "{text}");
        assert!(
            text.contains(r#""percpu":[9,0],"percpu_kernel":[4,0],"percpu_user":[0,0]"#),
            "{text}"
        );
    }
}
