//! `cpu` of v1; see scheduler/sched-bwc.rst and sched-rt-group.rst.

use crate::Result;
use crate::convert::{check_shares, nonzero};
use crate::dir::Dir;
use crate::resources::Cpu;
use crate::set::{Skips, write_or_defer};

const PERIOD: &str = "cpu.cfs_period_us";
const BURST: &str = "cpu.cfs_burst_us";

pub(crate) fn set(dir: &Dir, cpu: &Cpu, skips: &mut Skips) -> Result<()> {
    // Shares are refused while idle, so leaving that state comes first and entering it last.
    if cpu.idle == Some(0) {
        dir.write("cpu.idle", "0")?;
    }
    if let Some(shares) = nonzero(cpu.shares) {
        check_shares(shares)?;
        dir.write("cpu.shares", &shares.to_string())?;
    }
    set_bandwidth(dir, cpu, skips)?;
    if let Some(idle) = cpu.idle.filter(|idle| *idle != 0) {
        dir.write("cpu.idle", &idle.to_string())?;
    }
    if let Some(period) = nonzero(cpu.realtime_period) {
        dir.write("cpu.rt_period_us", &period.to_string())?;
    }
    if let Some(runtime) = nonzero(cpu.realtime_runtime) {
        dir.write("cpu.rt_runtime_us", &runtime.to_string())?;
    }
    Ok(())
}

/// Period and burst may not fit the old quota, and are then tried again after the new one.
fn set_bandwidth(dir: &Dir, cpu: &Cpu, skips: &mut Skips) -> Result<()> {
    let quota = nonzero(cpu.quota);
    let mut retry_period = None;
    if let Some(period) = nonzero(cpu.period) {
        retry_period = write_or_defer(dir, PERIOD, period, quota.is_some())?;
    }
    let mut retry_burst = None;
    if let Some(burst) = cpu.burst {
        match write_or_defer(dir, BURST, burst, quota.is_some()) {
            Err(error) if error.is_missing() => skips.unsupported("cpu", "cpu.cfs_burst_us"),
            result => retry_burst = result?,
        }
    }
    if let Some(quota) = quota {
        dir.write("cpu.cfs_quota_us", &quota.to_string())?;
    }
    for (file, value) in [(PERIOD, retry_period), (BURST, retry_burst)] {
        if let Some(value) = value {
            dir.write(file, &value.to_string())?;
        }
    }
    Ok(())
}
