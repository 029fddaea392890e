//! `/linux/resources`.

use coracle_cgroup::{
    BlockIo, Cpu, DeviceAccess, DeviceKind, DeviceRule, HugePages, Memory, Resources,
    ThrottleDevice, WeightDevice, default_device_rules,
};
use coracle_mount::{DeviceKind as NodeKind, DeviceNode};
use oci_spec::runtime::{
    Linux, LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory,
    LinuxThrottleDevice, LinuxWeightDevice,
};

use super::invalid;
use crate::Result;

pub(super) fn lower(
    linux: &Linux,
    nodes: &[DeviceNode],
    warnings: &mut Vec<String>,
) -> Result<Resources> {
    let mut resources = Resources::default();
    let oci = linux.resources().clone().unwrap_or_default();
    for (index, rule) in oci.devices().iter().flatten().enumerate() {
        resources.devices.push(device_rule(rule, &format!("/linux/resources/devices/{index}"))?);
    }
    // Devices that the container has it may use, whatever the list says; so does runc.
    resources.devices.extend(default_device_rules());
    resources.devices.extend(nodes.iter().filter_map(node_rule));
    if let Some(memory) = oci.memory() {
        resources.memory = lower_memory(memory, warnings);
    }
    if let Some(cpu) = oci.cpu() {
        resources.cpu = lower_cpu(cpu);
    }
    resources.pids = oci.pids().as_ref().map(|pids| pids.limit());
    if let Some(block_io) = oci.block_io() {
        resources.block_io = lower_block_io(block_io)?;
    }
    for page in oci.hugepage_limits().iter().flatten() {
        let pointer = "/linux/resources/hugepageLimits";
        let limit = u64::try_from(page.limit())
            .map_err(|_| invalid(pointer, format!("{} is no limit", page.limit())))?;
        resources.huge_pages.push(HugePages { page_size: page.page_size().clone(), limit });
    }
    resources.unified =
        oci.unified().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok(resources)
}

fn lower_memory(oci: &LinuxMemory, warnings: &mut Vec<String>) -> Memory {
    if oci.kernel().is_some() || oci.kernel_tcp().is_some() {
        warnings.push(
            "/linux/resources/memory/kernel and kernelTCP have no effect: kernel memory counts as memory"
                .to_owned(),
        );
    }
    Memory {
        limit: oci.limit(),
        reservation: oci.reservation(),
        swap: oci.swap(),
        swappiness: oci.swappiness(),
        disable_oom_killer: oci.disable_oom_killer(),
        check_before_update: oci.check_before_update().unwrap_or_default(),
    }
}

fn lower_cpu(oci: &LinuxCpu) -> Cpu {
    Cpu {
        shares: oci.shares(),
        quota: oci.quota(),
        burst: oci.burst(),
        period: oci.period(),
        realtime_runtime: oci.realtime_runtime(),
        realtime_period: oci.realtime_period(),
        cpus: oci.cpus().clone().unwrap_or_default(),
        mems: oci.mems().clone().unwrap_or_default(),
        idle: oci.idle(),
    }
}

fn lower_block_io(oci: &LinuxBlockIo) -> Result<BlockIo> {
    let pointer = "/linux/resources/blockIO";
    let number = |value: i64| {
        u32::try_from(value).map_err(|_| invalid(pointer, format!("{value} is no device number")))
    };
    let weight = |oci: &LinuxWeightDevice| {
        Ok(WeightDevice {
            major: number(oci.major())?,
            minor: number(oci.minor())?,
            weight: oci.weight(),
            leaf_weight: oci.leaf_weight(),
        })
    };
    let throttles = |list: &Option<Vec<LinuxThrottleDevice>>| -> Result<Vec<ThrottleDevice>> {
        let throttle = |oci: &LinuxThrottleDevice| {
            Ok(ThrottleDevice {
                major: number(oci.major())?,
                minor: number(oci.minor())?,
                rate: oci.rate(),
            })
        };
        list.iter().flatten().map(throttle).collect()
    };
    Ok(BlockIo {
        weight: oci.weight(),
        leaf_weight: oci.leaf_weight(),
        weight_device: oci.weight_device().iter().flatten().map(weight).collect::<Result<_>>()?,
        throttle_read_bps: throttles(oci.throttle_read_bps_device())?,
        throttle_write_bps: throttles(oci.throttle_write_bps_device())?,
        throttle_read_iops: throttles(oci.throttle_read_iops_device())?,
        throttle_write_iops: throttles(oci.throttle_write_iops_device())?,
    })
}

fn device_rule(oci: &LinuxDeviceCgroup, pointer: &str) -> Result<DeviceRule> {
    let kind = match oci.typ().unwrap_or_default() {
        LinuxDeviceType::A => DeviceKind::All,
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Char,
        LinuxDeviceType::P => return Err(invalid(pointer, "a FIFO is no device to be allowed")),
    };
    let number = |value: Option<i64>| match value {
        // -1 was the wildcard of older versions of the specification.
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value)
            .map(Some)
            .map_err(|_| invalid(pointer, format!("{value} is no device number"))),
    };
    Ok(DeviceRule {
        allow: oci.allow(),
        kind,
        major: number(oci.major())?,
        minor: number(oci.minor())?,
        access: access(oci.access().as_deref().unwrap_or("rwm"), pointer)?,
    })
}

fn access(letters: &str, pointer: &str) -> Result<DeviceAccess> {
    letters
        .chars()
        .map(|letter| match letter {
            'r' => Ok(DeviceAccess::READ),
            'w' => Ok(DeviceAccess::WRITE),
            'm' => Ok(DeviceAccess::MKNOD),
            _ => Err(invalid(
                format!("{pointer}/access"),
                format!("{letters:?} has other letters than r, w and m"),
            )),
        })
        .collect()
}

fn node_rule(node: &DeviceNode) -> Option<DeviceRule> {
    let kind = match node.kind {
        NodeKind::Character => DeviceKind::Char,
        NodeKind::Block => DeviceKind::Block,
        NodeKind::Fifo => return None,
    };
    let (major, minor) = (Some(node.major), Some(node.minor));
    Some(DeviceRule { allow: true, kind, major, minor, access: DeviceAccess::all() })
}
