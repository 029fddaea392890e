//! `cpu` of v2.

use crate::convert::{nonzero, weight_from_shares};
use crate::dir::Dir;
use crate::resources::Cpu;
use crate::set::{Skips, write_or_defer};
use crate::{Error, Result};

const BURST: &str = "cpu.max.burst";

pub(crate) fn set(dir: &Dir, cpu: &Cpu, skips: &mut Skips) -> Result<()> {
    let weight = nonzero(cpu.shares).map(weight_from_shares);
    if let Some(idle) = cpu.idle {
        if idle == 1 && weight.is_some() {
            let reason = "an idle cgroup has no shares; set one or the other";
            return Err(Error::InvalidValue { setting: "cpu idle", value: "1".into(), reason });
        }
        dir.write("cpu.idle", &idle.to_string())?;
    }
    if let Some(weight) = weight {
        dir.write("cpu.weight", &weight.to_string())?;
    }
    set_bandwidth(dir, cpu, skips)?;
    if nonzero(cpu.realtime_period).is_some() || nonzero(cpu.realtime_runtime).is_some() {
        skips.unsupported("cpu", "realtime limits");
    }
    Ok(())
}

/// The burst may not fit the old quota, and is then tried again after the new one.
fn set_bandwidth(dir: &Dir, cpu: &Cpu, skips: &mut Skips) -> Result<()> {
    let (quota, period) = (nonzero(cpu.quota), nonzero(cpu.period));
    let mut retry = None;
    if let Some(burst) = cpu.burst {
        match write_or_defer(dir, BURST, burst, quota.is_some()) {
            Err(error) if error.is_missing() && dir.read("cpu.max").is_ok() => {
                skips.unsupported("cpu", BURST);
            }
            result => retry = result?,
        }
    }
    if quota.is_some() || period.is_some() {
        let quota = match quota {
            Some(quota @ 1..) => quota.to_string(),
            Some(_) => "max".into(),
            // What was there stays, as does the period if it is the one that is missing.
            None => dir.read("cpu.max")?.split(' ').next().unwrap_or("max").to_owned(),
        };
        let period = period.map(|period| format!(" {period}")).unwrap_or_default();
        dir.write("cpu.max", &format!("{quota}{period}"))?;
    }
    retry.map_or(Ok(()), |burst| dir.write(BURST, &burst.to_string()))
}
