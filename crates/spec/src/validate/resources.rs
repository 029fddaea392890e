//! `/linux/resources`:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#control-groups>.

use super::devices;
use super::report::{At, Fault, Report};
use super::schema::{
    I64, Kind, Object, U16, U32, U64, Verdict, field, free_list, free_object, int, required, unique,
};
use super::text::{interface, not_empty, one_line};
use crate::json::{Map, Value};

pub(super) const RESOURCES: Kind = Kind::Object(&Object {
    fields: &[
        field("unified", Kind::Map(unified_key, &Kind::Text(super::text::any))),
        field("devices", Kind::List(&devices::RULE, free_list)),
        field("pids", Kind::Object(&PIDS)),
        field("blockIO", Kind::Object(&BLOCK_IO)),
        field("cpu", Kind::Object(&CPU)),
        field("hugepageLimits", Kind::List(&HUGEPAGES, page_sizes)),
        field("memory", Kind::Object(&MEMORY)),
        field("network", Kind::Object(&NETWORK)),
        field("rdma", Kind::Map(not_empty, &RDMA)),
    ],
    rule: free_object,
});

static PIDS: Object = Object { fields: &[field("limit", I64)], rule: free_object };

static BLOCK_IO: Object = Object {
    fields: &[
        field("weight", U16),
        field("leafWeight", U16),
        field("weightDevice", Kind::List(&WEIGHT_DEVICE, free_list)),
        field("throttleReadBpsDevice", THROTTLES),
        field("throttleWriteBpsDevice", THROTTLES),
        field("throttleReadIOPSDevice", THROTTLES),
        field("throttleWriteIOPSDevice", THROTTLES),
    ],
    rule: free_object,
};
static WEIGHT_DEVICE: Kind = Kind::Object(&Object {
    fields: &[
        required("major", DEVICE_NUMBER, "give the block device's major number"),
        required("minor", DEVICE_NUMBER, "give the block device's minor number"),
        field("weight", U16),
        field("leafWeight", U16),
    ],
    rule: free_object,
});
const THROTTLES: Kind = Kind::List(&THROTTLE, free_list);
static THROTTLE: Kind = Kind::Object(&Object {
    fields: &[
        required("major", DEVICE_NUMBER, "give the block device's major number"),
        required("minor", DEVICE_NUMBER, "give the block device's minor number"),
        field("rate", U64),
    ],
    rule: free_object,
});
const DEVICE_NUMBER: Kind = U32;

static CPU: Object = Object {
    fields: &[
        field("cpus", Kind::Text(one_line)),
        field("mems", Kind::Text(one_line)),
        field("period", U64),
        field("quota", I64),
        field("burst", U64),
        field("realtimePeriod", U64),
        field("realtimeRuntime", I64),
        field("shares", U64),
        field("idle", Kind::Int(0, 1)),
    ],
    rule: cpu,
};

static HUGEPAGES: Kind = Kind::Object(&Object {
    fields: &[
        required("pageSize", Kind::Text(page_size), "give the size of a page, as \"2MB\""),
        required("limit", U64, "give the number of bytes"),
    ],
    rule: free_object,
});

/// -1 is no limit.
const BYTES: Kind = Kind::Int(-1, i64::MAX as i128);
static MEMORY: Object = Object {
    fields: &[
        field("limit", BYTES),
        field("reservation", BYTES),
        field("swap", BYTES),
        field("kernel", BYTES),
        field("kernelTCP", BYTES),
        field("swappiness", U64),
        field("disableOOMKiller", Kind::Bool),
        field("useHierarchy", Kind::Bool),
        field("checkBeforeUpdate", Kind::Bool),
    ],
    rule: memory,
};

static NETWORK: Object = Object {
    fields: &[field("classID", U32), field("priorities", Kind::List(&PRIORITY, free_list))],
    rule: free_object,
};
static PRIORITY: Kind = Kind::Object(&Object {
    fields: &[
        required("name", Kind::Text(interface), "name the network interface"),
        required("priority", U32, "give the priority"),
    ],
    rule: free_object,
});

static RDMA: Kind = Kind::Object(&Object {
    fields: &[field("hcaHandles", U32), field("hcaObjects", U32)],
    rule: free_object,
});

/// The name of a file in a cgroup.
fn unified_key(key: &str) -> Verdict {
    match key.contains('/') || !key.contains('.') {
        true => Err(Fault::found_text(key, "the name of a cgroup file, as memory.high")),
        false => one_line(key),
    }
}

/// The kernel's own spelling, as in /sys/fs/cgroup/hugetlb.2MB.max.
fn page_size(size: &str) -> Verdict {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    let valid = digits.is_some_and(|digits| {
        !digits.starts_with('0')
            && !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    match valid {
        true => Ok(()),
        false => Err(Fault::found_text(size, "a size like 64KB, 2MB or 1GB")),
    }
}

fn page_sizes(report: &mut Report, at: &At<'_>, limits: &[Value<'_>]) {
    unique(report, at, limits, "pageSize");
}

/// `swap` is memory and swap together, so it cannot be less than memory alone. A swappiness of -1 as
/// an unsigned number is what Docker writes for none.
fn memory(report: &mut Report, at: &At<'_>, memory: &mut Map<'_>) {
    match int(memory, "swappiness") {
        Some(swappiness) if swappiness == i128::from(u64::MAX) => {
            memory.retain(|key, _| key != "swappiness");
        }
        Some(swappiness @ 101..) => {
            let fault =
                Fault::new(format!("found {swappiness}, expected an integer from 0 to 100"));
            report.error(&at.key("swappiness"), fault);
        }
        _ => {}
    }
    if let (Some(limit), Some(swap @ 1..)) = (int(memory, "limit"), int(memory, "swap"))
        && swap < limit
    {
        let fault = Fault::new(format!("found {swap}, expected at least the limit, {limit}"));
        report.error(&at.key("swap"), fault.hint("swap is the sum of memory and swap"));
    }
}

/// The bandwidth controller takes periods of 1 ms to 1 s and quotas of at least 1 ms, in microseconds;
/// 0 is not set, a negative quota is no limit.
fn cpu(report: &mut Report, at: &At<'_>, cpu: &mut Map<'_>) {
    if let Some(period) = int(cpu, "period")
        && period != 0
        && !(1_000..=1_000_000).contains(&period)
    {
        let fault = Fault::new(format!("found {period}, expected 1000 to 1000000 microseconds"));
        report.error(&at.key("period"), fault);
    }
    if let Some(quota @ 1..1_000) = int(cpu, "quota") {
        let fault = Fault::new(format!("found {quota}, expected at least 1000 microseconds"));
        report.error(&at.key("quota"), fault.hint("-1 is no limit"));
    }
}
