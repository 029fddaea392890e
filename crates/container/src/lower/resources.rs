//! `/linux/resources`.

use coracle_cgroup::{
    BlockIo, Cpu, DeviceAccess, DeviceKind, DeviceRule, HugePages, Memory, Network, Rdma,
    Resources, ThrottleDevice, WeightDevice, default_device_rules,
};
use coracle_mount::{DeviceKind as NodeKind, DeviceNode};
use coracle_spec::types::{self, RuleType};

use super::invalid;
use crate::Result;

pub(super) fn lower(
    oci: &types::Resources,
    nodes: &[DeviceNode],
    warnings: &mut Vec<String>,
) -> Result<Resources> {
    let mut devices = Vec::with_capacity(oci.devices.len());
    for (index, rule) in oci.devices.iter().enumerate() {
        devices.push(device_rule(rule, &format!("/linux/resources/devices/{index}"))?);
    }
    // Devices that the container has it may use, whatever the list says; so does runc.
    devices.extend(default_device_rules());
    devices.extend(nodes.iter().filter_map(node_rule));
    Ok(Resources {
        memory: memory(&oci.memory, warnings),
        cpu: cpu(&oci.cpu),
        pids: oci.pids.limit,
        block_io: block_io(&oci.block_io),
        huge_pages: oci.hugepage_limits.iter().map(huge_pages).collect(),
        network: network(&oci.network),
        rdma: oci.rdma.iter().map(|(device, limit)| (device.clone(), rdma(*limit))).collect(),
        unified: oci.unified.clone(),
        devices,
    })
}

/// Does the specification ask for more than every container has? To deny all devices, but for some, is what
/// every engine asks for, also where nobody could keep it.
pub(super) fn has_limits(oci: &types::Resources) -> bool {
    let forbids = |rule: &types::DeviceRule| {
        let all = rule.kind == RuleType::All && rule.major.is_none() && rule.minor.is_none();
        !rule.allow && !all
    };
    let mut others = oci.clone();
    let devices = std::mem::take(&mut others.devices);
    others != types::Resources::default() || devices.iter().any(forbids)
}

fn network(oci: &types::Network) -> Network {
    let priorities = oci.priorities.iter();
    Network {
        class_id: oci.class_id,
        priorities: priorities.map(|entry| (entry.name.clone(), entry.priority)).collect(),
    }
}

fn rdma(oci: types::Rdma) -> Rdma {
    Rdma { hca_handles: oci.hca_handles, hca_objects: oci.hca_objects }
}

fn memory(oci: &types::Memory, warnings: &mut Vec<String>) -> Memory {
    if oci.kernel.is_some() || oci.kernel_tcp.is_some() {
        warnings.push(
            "/linux/resources/memory/kernel and kernelTCP have no effect: kernel memory counts as memory"
                .to_owned(),
        );
    }
    if oci.use_hierarchy == Some(false) {
        warnings.push(
            "/linux/resources/memory/useHierarchy has no effect: limits always hold for what is below"
                .to_owned(),
        );
    }
    Memory {
        limit: oci.limit,
        reservation: oci.reservation,
        swap: oci.swap,
        swappiness: oci.swappiness,
        disable_oom_killer: oci.disable_oom_killer,
        check_before_update: oci.check_before_update,
    }
}

fn cpu(oci: &types::Cpu) -> Cpu {
    Cpu {
        shares: oci.shares,
        quota: oci.quota,
        burst: oci.burst,
        period: oci.period,
        realtime_runtime: oci.realtime_runtime,
        realtime_period: oci.realtime_period,
        cpus: oci.cpus.clone().unwrap_or_default(),
        mems: oci.mems.clone().unwrap_or_default(),
        idle: oci.idle,
    }
}

fn block_io(oci: &types::BlockIo) -> BlockIo {
    let weight = |oci: &types::WeightDevice| WeightDevice {
        major: oci.major,
        minor: oci.minor,
        weight: oci.weight,
        leaf_weight: oci.leaf_weight,
    };
    let throttle = |oci: &types::ThrottleDevice| ThrottleDevice {
        major: oci.major,
        minor: oci.minor,
        rate: oci.rate,
    };
    let throttles = |list: &[types::ThrottleDevice]| list.iter().map(throttle).collect();
    BlockIo {
        weight: oci.weight,
        leaf_weight: oci.leaf_weight,
        weight_device: oci.weight_device.iter().map(weight).collect(),
        throttle_read_bps: throttles(&oci.throttle_read_bps_device),
        throttle_write_bps: throttles(&oci.throttle_write_bps_device),
        throttle_read_iops: throttles(&oci.throttle_read_iops_device),
        throttle_write_iops: throttles(&oci.throttle_write_iops_device),
    }
}

fn huge_pages(oci: &types::HugepageLimit) -> HugePages {
    HugePages { page_size: oci.page_size.clone(), limit: oci.limit }
}

fn device_rule(oci: &types::DeviceRule, pointer: &str) -> Result<DeviceRule> {
    let kind = match oci.kind {
        RuleType::All => DeviceKind::All,
        RuleType::Block => DeviceKind::Block,
        RuleType::Char => DeviceKind::Char,
    };
    Ok(DeviceRule {
        allow: oci.allow,
        kind,
        major: oci.major,
        minor: oci.minor,
        access: access(oci.access.as_deref().unwrap_or("rwm"), pointer)?,
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
