//! Limits as properties of units; see systemd.resource-control(5).
//!
//! systemd writes its own idea of a unit's limits again when it is reloaded, so it must know them. What it
//! has no property for is written to the cgroup only, which it leaves alone.

use std::path::Path;

use coracle_sys::bit_list;

use super::dbus::Value;
use crate::convert::{
    check_shares, check_weight, io_weight, nonzero, swap_alone, weight_from_shares,
};
use crate::devices::{Devices, Policy};
use crate::{Cpu, DeviceAccess, DeviceKind, DeviceRule, Memory, Resources, Result};

/// Properties and their values.
pub(super) type Properties = Vec<(&'static str, Value)>;

/// The versions of systemd that brought properties, where they matter.
const DEVICE_NUMBERS: u32 = 240;
const QUOTA_PERIOD: u32 = 242;
const CPUSET: u32 = 244;
const IDLE: u32 = 252;

/// systemd counts quotas in steps of 10 ms for each second.
const QUOTA_STEP: u64 = 10_000;
const SECOND: u64 = 1_000_000;

/// The limits as properties, for a unit on cgroup v2 or on v1.
pub(super) fn of_resources(
    resources: &Resources,
    unified: bool,
    version: u32,
) -> Result<Properties> {
    let mut properties = Properties::new();
    if unified {
        memory(&resources.memory, &mut properties)?;
    } else if let Some(limit) = nonzero(resources.memory.limit) {
        properties.push(("MemoryLimit", Value::U64(or_infinite(limit))));
    }
    time(&resources.cpu, unified, version, &mut properties)?;
    if unified && version >= CPUSET {
        for (name, list) in
            [("AllowedCPUs", &resources.cpu.cpus), ("AllowedMemoryNodes", &resources.cpu.mems)]
        {
            properties.extend(bits(list).map(|bits| (name, Value::bytes(&bits))));
        }
    }
    if let Some(weight) = check_weight(resources.block_io.weight)? {
        properties.push(match unified {
            // With BFQ, whose weights are others, systemd converts it back to something close.
            true => ("IOWeight", Value::U64(io_weight(weight))),
            false => ("BlockIOWeight", Value::U64(weight.into())),
        });
    }
    if let Some(limit) = resources.pids {
        let limit = if limit == 0 { 1 } else { limit };
        properties.push(("TasksMax", Value::U64(or_infinite(limit))));
    }
    if !resources.devices.is_empty() {
        devices(&resources.devices, version, &mut properties)?;
    }
    of_unified(resources, &mut properties);
    Ok(properties)
}

fn memory(memory: &Memory, properties: &mut Properties) -> Result<()> {
    let swap = swap_alone(nonzero(memory.swap), nonzero(memory.limit))?;
    let limits = [
        ("MemoryMax", nonzero(memory.limit)),
        ("MemoryLow", nonzero(memory.reservation)),
        ("MemorySwapMax", swap),
    ];
    for (name, limit) in limits {
        properties.extend(limit.map(|limit| (name, Value::U64(or_infinite(limit)))));
    }
    Ok(())
}

fn time(cpu: &Cpu, unified: bool, version: u32, properties: &mut Properties) -> Result<()> {
    match (unified, nonzero(cpu.shares), cpu.idle) {
        (true, _, Some(1)) if version >= IDLE => properties.push(("CPUWeight", Value::U64(0))),
        (true, Some(shares), _) => {
            properties.push(("CPUWeight", Value::U64(weight_from_shares(shares))));
        }
        // Idle no more: what was said of that is taken back.
        (true, None, Some(0)) if version >= IDLE => {
            properties.push(("CPUWeight", Value::U64(u64::MAX)));
        }
        (false, Some(shares), _) => {
            check_shares(shares)?;
            properties.push(("CPUShares", Value::U64(shares)));
        }
        _ => {}
    }
    let period = nonzero(cpu.period);
    if let Some(period) = period.filter(|_| version >= QUOTA_PERIOD) {
        properties.push(("CPUQuotaPeriodUSec", Value::U64(period)));
    }
    if let Some(quota) = nonzero(cpu.quota) {
        let a_second = u64::try_from(quota).map_or(u64::MAX, |quota| {
            let exact = quota.saturating_mul(SECOND) / period.unwrap_or(100_000);
            exact.checked_next_multiple_of(QUOTA_STEP).unwrap_or(u64::MAX)
        });
        properties.push(("CPUQuotaPerSecUSec", Value::U64(a_second)));
    }
    Ok(())
}

/// What was given by the names of files, as far as there are properties for them.
fn of_unified(resources: &Resources, properties: &mut Properties) {
    for (file, value) in &resources.unified {
        let limit = || match value.trim() {
            "max" => Some(Value::U64(u64::MAX)),
            number => number.parse().ok().map(Value::U64),
        };
        let property = match file.as_str() {
            "memory.max" => limit().map(|limit| ("MemoryMax", limit)),
            "memory.high" => limit().map(|limit| ("MemoryHigh", limit)),
            "memory.low" => limit().map(|limit| ("MemoryLow", limit)),
            "memory.min" => limit().map(|limit| ("MemoryMin", limit)),
            "memory.swap.max" => limit().map(|limit| ("MemorySwapMax", limit)),
            "pids.max" => limit().map(|limit| ("TasksMax", limit)),
            "cpu.weight" => limit().map(|weight| ("CPUWeight", weight)),
            "io.weight" => limit().map(|weight| ("IOWeight", weight)),
            "cpuset.cpus" => bits(value).map(|bits| ("AllowedCPUs", Value::bytes(&bits))),
            "cpuset.mems" => bits(value).map(|bits| ("AllowedMemoryNodes", Value::bytes(&bits))),
            _ => None,
        };
        properties.extend(property);
    }
}

/// -1 is no limit.
fn or_infinite(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// The bits of a list as `0-3,7`, the lowest first; nothing for an empty one.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bytes: Vec<_> = bit_list::parse(list)?.into_iter().flat_map(u64::to_le_bytes).collect();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0)? + 1);
    Some(bytes)
}

/// The devices that are allowed. systemd knows no exceptions from what is allowed, so with such a policy
/// it lets everything pass, and the cgroup's own filter decides.
fn devices(rules: &[DeviceRule], version: u32, properties: &mut Properties) -> Result<()> {
    let policy = Policy::from_rules(rules)?;
    if policy.allow {
        properties.push(("DevicePolicy", Value::str("auto")));
        properties.push(("DeviceAllow", Value::Array("(ss)".into(), Vec::new())));
        return Ok(());
    }
    let majors = std::fs::read_to_string("/proc/devices").unwrap_or_default();
    let entry = |(devices, access): (&Devices, &DeviceAccess)| {
        let name = device_name(devices, &majors, version)?;
        Some(Value::Struct(vec![Value::str(name), Value::str(letters(*access))]))
    };
    let entries: Vec<_> = policy.exceptions.iter().filter_map(entry).collect();
    properties.push(("DevicePolicy", Value::str("strict")));
    // What was allowed before goes with the empty list.
    properties.push(("DeviceAllow", Value::Array("(ss)".into(), Vec::new())));
    properties.push(("DeviceAllow", Value::Array("(ss)".into(), entries)));
    Ok(())
}

/// Devices as systemd names them: one by a path, a major number by the name of its driver.
fn device_name(devices: &Devices, majors: &str, version: u32) -> Option<String> {
    let (kind, heading) = match devices.kind {
        DeviceKind::Block => ("block", "Block devices:"),
        _ => ("char", "Character devices:"),
    };
    match (devices.major, devices.minor) {
        (None, None) => Some(format!("{kind}-*")),
        (Some(major), Some(minor)) => {
            let path = format!("/dev/{kind}/{major}:{minor}");
            // Without udev there is no such file. Then an old systemd would allow nothing by it.
            (version >= DEVICE_NUMBERS || Path::new(&path).exists()).then_some(path)
        }
        (Some(major), None) => {
            let section = majors.split("\n\n").find(|section| section.contains(heading))?;
            let mut lines = section.lines().filter_map(|line| line.trim().split_once(' '));
            let (_, name) = lines.find(|(number, _)| number.parse() == Ok(major))?;
            Some(format!("{kind}-{name}"))
        }
        (None, Some(_)) => None,
    }
}

fn letters(access: DeviceAccess) -> String {
    let known = [(DeviceAccess::READ, 'r'), (DeviceAccess::WRITE, 'w'), (DeviceAccess::MKNOD, 'm')];
    known.iter().filter(|(bit, _)| access.contains(*bit)).map(|(_, letter)| *letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(properties: &Properties, name: &str) -> Option<u64> {
        properties.iter().find_map(|(found, value)| match value {
            Value::U64(number) if *found == name => Some(*number),
            _ => None,
        })
    }

    #[test]
    fn limits_become_properties() {
        let resources = Resources {
            memory: Memory { limit: Some(100), swap: Some(150), ..Memory::default() },
            cpu: Cpu {
                shares: Some(1024),
                quota: Some(5000),
                period: Some(10_000),
                cpus: "0-1,9".into(),
                ..Cpu::default()
            },
            pids: Some(-1),
            ..Resources::default()
        };
        let found = of_resources(&resources, true, 252).unwrap();
        assert_eq!(number(&found, "MemoryMax"), Some(100));
        assert_eq!(number(&found, "MemorySwapMax"), Some(50));
        assert_eq!(number(&found, "CPUWeight"), Some(100));
        assert_eq!(number(&found, "CPUQuotaPerSecUSec"), Some(500_000));
        assert_eq!(number(&found, "CPUQuotaPeriodUSec"), Some(10_000));
        assert_eq!(number(&found, "TasksMax"), Some(u64::MAX));
        assert!(found.contains(&("AllowedCPUs", Value::bytes(&[3, 2]))));
        let found = of_resources(&resources, false, 240).unwrap();
        assert_eq!(number(&found, "MemoryLimit"), Some(100));
        assert_eq!(number(&found, "CPUShares"), Some(1024));
        assert_eq!(number(&found, "CPUQuotaPeriodUSec"), None);
    }

    #[test]
    fn leaving_idleness_takes_its_weight_back() {
        let weight = |idle, shares| {
            let cpu = Cpu { idle: Some(idle), shares, ..Cpu::default() };
            let resources = Resources { cpu, ..Resources::default() };
            number(&of_resources(&resources, true, 252).unwrap(), "CPUWeight")
        };
        assert_eq!(weight(1, None), Some(0));
        assert_eq!(weight(0, None), Some(u64::MAX));
        assert_eq!(weight(0, Some(1024)), Some(100));
    }

    #[test]
    fn a_quota_is_rounded_up() {
        let resources = Resources {
            cpu: Cpu { quota: Some(33_333), ..Cpu::default() },
            ..Resources::default()
        };
        let found = of_resources(&resources, true, 252).unwrap();
        assert_eq!(number(&found, "CPUQuotaPerSecUSec"), Some(340_000));
    }

    #[test]
    fn devices_are_named() {
        let majors = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n";
        let name = |kind, major, minor| device_name(&Devices { major, minor, kind }, majors, 252);
        assert_eq!(name(DeviceKind::Char, Some(136), None).as_deref(), Some("char-pts"));
        assert_eq!(name(DeviceKind::Block, Some(8), None).as_deref(), Some("block-sd"));
        assert_eq!(name(DeviceKind::Block, Some(136), None), None);
        assert_eq!(name(DeviceKind::Char, None, None).as_deref(), Some("char-*"));
        assert_eq!(name(DeviceKind::Char, None, Some(1)), None);
        let named = name(DeviceKind::Char, Some(1), Some(3));
        assert_eq!(named.as_deref(), Some("/dev/char/1:3"));
    }
}
