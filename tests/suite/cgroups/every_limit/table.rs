//! What the kernel has after each field of `/linux/resources`.
//!
//! The rows are also applied one after the other to a running container, so each value differs from the
//! one before it. `@DISK` is a block device, `@BFQ` one with weights, `@RDMA` an adapter.

use super::Outcome::{Has, HasOrWarns, OneOf, Refused, Warns};
use super::Row;

/// No limit of memory on v1: the greatest number of whole pages.
const V1_MAX: &str = "9223372036854771712";

pub const ROWS: &[Row] = &[
    Row {
        resources: r#"{"memory": {"limit": 67108864}}"#,
        v1: Has(&[("memory.limit_in_bytes", "67108864")]),
        v2: Has(&[("memory.max", "67108864")]),
    },
    Row {
        resources: r#"{"memory": {"limit": 134217728}}"#,
        v1: Has(&[("memory.limit_in_bytes", "134217728")]),
        v2: Has(&[("memory.max", "134217728")]),
    },
    Row {
        resources: r#"{"memory": {"limit": 67108864, "swap": 100663296}}"#,
        v1: Has(&[
            ("memory.limit_in_bytes", "67108864"),
            ("memory.memsw.limit_in_bytes", "100663296"),
        ]),
        v2: Has(&[("memory.max", "67108864"), ("memory.swap.max", "33554432")]),
    },
    Row {
        resources: r#"{"memory": {"limit": 0, "swap": 0, "reservation": 0}}"#,
        v1: Has(&[]),
        v2: Has(&[]),
    },
    Row {
        resources: r#"{"memory": {"limit": 33554432, "swap": 33554432}}"#,
        v1: Has(&[
            ("memory.limit_in_bytes", "33554432"),
            ("memory.memsw.limit_in_bytes", "33554432"),
        ]),
        v2: Has(&[("memory.max", "33554432"), ("memory.swap.max", "0")]),
    },
    Row {
        resources: r#"{"memory": {"limit": 134217728, "swap": -1}}"#,
        v1: Has(&[("memory.limit_in_bytes", "134217728"), ("memory.memsw.limit_in_bytes", V1_MAX)]),
        v2: Has(&[("memory.max", "134217728"), ("memory.swap.max", "max")]),
    },
    Row {
        resources: r#"{"memory": {"limit": -1}}"#,
        v1: Has(&[("memory.limit_in_bytes", V1_MAX), ("memory.memsw.limit_in_bytes", V1_MAX)]),
        v2: Has(&[("memory.max", "max"), ("memory.swap.max", "max")]),
    },
    Row {
        resources: r#"{"memory": {"swap": 67108864}}"#,
        v1: Refused(&["memory.memsw.limit_in_bytes", "must not be below that of memory"]),
        v2: Refused(&["memory swap", "set both"]),
    },
    Row {
        resources: r#"{"memory": {"reservation": 33554432}}"#,
        v1: Has(&[("memory.soft_limit_in_bytes", "33554432")]),
        v2: Has(&[("memory.low", "33554432")]),
    },
    Row {
        resources: r#"{"memory": {"reservation": -1}}"#,
        v1: Has(&[("memory.soft_limit_in_bytes", V1_MAX)]),
        v2: Has(&[("memory.low", "max")]),
    },
    Row {
        resources: r#"{"memory": {"swappiness": 17}}"#,
        v1: Has(&[("memory.swappiness", "17")]),
        v2: Warns("swappiness"),
    },
    Row {
        resources: r#"{"memory": {"disableOOMKiller": true}}"#,
        v1: Has(&[("memory.oom_control", "oom_kill_disable 1")]),
        v2: Warns("disable_oom_killer"),
    },
    Row {
        resources: r#"{"memory": {"disableOOMKiller": false}}"#,
        v1: Has(&[("memory.oom_control", "oom_kill_disable 0")]),
        v2: Has(&[]),
    },
    Row {
        resources: r#"{"memory": {"limit": 67108864, "checkBeforeUpdate": true}}"#,
        v1: Has(&[("memory.limit_in_bytes", "67108864")]),
        v2: Has(&[("memory.max", "67108864")]),
    },
    Row {
        resources: r#"{"memory": {"kernel": 33554432}}"#,
        v1: Warns("memory/kernel"),
        v2: Warns("memory/kernel"),
    },
    Row {
        resources: r#"{"memory": {"kernelTCP": 33554432}}"#,
        v1: Warns("kernelTCP"),
        v2: Warns("kernelTCP"),
    },
    Row {
        resources: r#"{"memory": {"useHierarchy": true}}"#,
        v1: Has(&[("memory.use_hierarchy", "1")]),
        v2: Has(&[]),
    },
    Row {
        resources: r#"{"memory": {"useHierarchy": false}}"#,
        v1: Warns("useHierarchy"),
        v2: Warns("useHierarchy"),
    },
    Row {
        resources: r#"{"cpu": {"shares": 2048}}"#,
        v1: Has(&[("cpu.shares", "2048")]),
        v2: Has(&[("cpu.weight", "174")]),
    },
    Row {
        resources: r#"{"cpu": {"shares": 2}}"#,
        v1: Has(&[("cpu.shares", "2")]),
        v2: Has(&[("cpu.weight", "1")]),
    },
    Row {
        resources: r#"{"cpu": {"shares": 262144}}"#,
        v1: Has(&[("cpu.shares", "262144")]),
        v2: Has(&[("cpu.weight", "10000")]),
    },
    Row {
        resources: r#"{"cpu": {"shares": 1}}"#,
        v1: Refused(&["cpu shares", "minimum allowed"]),
        v2: Has(&[("cpu.weight", "1")]),
    },
    Row {
        resources: r#"{"cpu": {"shares": 1024}}"#,
        v1: Has(&[("cpu.shares", "1024")]),
        v2: Has(&[("cpu.weight", "100")]),
    },
    Row {
        resources: r#"{"cpu": {"quota": 25000, "period": 50000}}"#,
        v1: Has(&[("cpu.cfs_quota_us", "25000"), ("cpu.cfs_period_us", "50000")]),
        v2: Has(&[("cpu.max", "25000 50000")]),
    },
    Row {
        resources: r#"{"cpu": {"period": 100000}}"#,
        v1: Has(&[("cpu.cfs_period_us", "100000")]),
        v2: OneOf(&[("cpu.max", "25000 100000"), ("cpu.max", "max 100000")]),
    },
    Row {
        resources: r#"{"cpu": {"quota": 60000, "burst": 20000}}"#,
        v1: HasOrWarns(&[("cpu.cfs_burst_us", "20000"), ("cpu.cfs_quota_us", "60000")]),
        v2: HasOrWarns(&[("cpu.max.burst", "20000"), ("cpu.max", "60000 100000")]),
    },
    Row {
        resources: r#"{"cpu": {"burst": 0}}"#,
        v1: HasOrWarns(&[("cpu.cfs_burst_us", "0")]),
        v2: HasOrWarns(&[("cpu.max.burst", "0")]),
    },
    Row {
        resources: r#"{"cpu": {"quota": -1}}"#,
        v1: Has(&[("cpu.cfs_quota_us", "-1")]),
        v2: Has(&[("cpu.max", "max 100000")]),
    },
    Row {
        resources: r#"{"cpu": {"realtimePeriod": 500000, "realtimeRuntime": 10000}}"#,
        v1: Has(&[("cpu.rt_period_us", "500000"), ("cpu.rt_runtime_us", "10000")]),
        v2: Warns("realtime limits"),
    },
    Row {
        resources: r#"{"cpu": {"idle": 1}}"#,
        v1: Has(&[("cpu.idle", "1")]),
        v2: Has(&[("cpu.idle", "1")]),
    },
    Row {
        resources: r#"{"cpu": {"idle": 0}}"#,
        v1: Has(&[("cpu.idle", "0"), ("cpu.shares", "1024")]),
        v2: Has(&[("cpu.idle", "0"), ("cpu.weight", "100")]),
    },
    Row {
        resources: r#"{"cpu": {"cpus": "0", "mems": "0"}}"#,
        v1: Has(&[("cpuset.cpus", "0"), ("cpuset.mems", "0")]),
        v2: Has(&[("cpuset.cpus", "0"), ("cpuset.mems", "0")]),
    },
    Row {
        resources: r#"{"pids": {"limit": 7}}"#,
        v1: Has(&[("pids.max", "7")]),
        v2: Has(&[("pids.max", "7")]),
    },
    Row {
        resources: r#"{"pids": {"limit": -1}}"#,
        v1: Has(&[("pids.max", "max")]),
        v2: Has(&[("pids.max", "max")]),
    },
    Row {
        resources: r#"{"pids": {"limit": 0}}"#,
        v1: Has(&[("pids.max", "1")]),
        v2: Has(&[("pids.max", "1")]),
    },
    Row {
        resources: r#"{"blockIO": {"weight": 500}}"#,
        v1: OneOf(&[("blkio.weight", "500"), ("blkio.bfq.weight", "500")]),
        v2: OneOf(&[("io.bfq.weight", "default 500"), ("io.weight", "default 4950")]),
    },
    Row {
        resources: r#"{"blockIO": {"weight": 9}}"#,
        v1: Refused(&["block I/O weight = 9", "10 to 1000"]),
        v2: Refused(&["block I/O weight = 9", "10 to 1000"]),
    },
    Row {
        resources: r#"{"blockIO": {"leafWeight": 300}}"#,
        v1: Has(&[("blkio.leaf_weight", "300")]),
        v2: Warns("leaf weight"),
    },
    Row {
        resources: r#"{"blockIO": {"weightDevice": [{@BFQ, "weight": 200}]}}"#,
        v1: Has(&[("blkio.bfq.weight_device", "@BFQ 200")]),
        v2: Has(&[("io.bfq.weight", "@BFQ 200")]),
    },
    Row {
        resources: r#"{"blockIO": {"weightDevice": [{@BFQ, "leafWeight": 200}]}}"#,
        v1: Has(&[("blkio.leaf_weight_device", "@BFQ 200")]),
        v2: Warns("leaf weight"),
    },
    Row {
        resources: r#"{"blockIO": {"weightDevice": [{@DISK, "weight": 200}]}}"#,
        v1: Refused(&["@DISK 200", "scheduler"]),
        v2: Refused(&["@DISK", "scheduler"]),
    },
    Row {
        resources: r#"{"blockIO": {
            "throttleReadBpsDevice": [{@DISK, "rate": 1048576}],
            "throttleWriteBpsDevice": [{@DISK, "rate": 2097152}],
            "throttleReadIOPSDevice": [{@DISK, "rate": 300}],
            "throttleWriteIOPSDevice": [{@DISK, "rate": 400}]}}"#,
        v1: Has(&[
            ("blkio.throttle.read_bps_device", "@DISK 1048576"),
            ("blkio.throttle.write_bps_device", "@DISK 2097152"),
            ("blkio.throttle.read_iops_device", "@DISK 300"),
            ("blkio.throttle.write_iops_device", "@DISK 400"),
        ]),
        v2: Has(&[("io.max", "@DISK rbps=1048576 wbps=2097152 riops=300 wiops=400")]),
    },
    Row {
        resources: r#"{"blockIO": {
            "throttleReadBpsDevice": [{@DISK, "rate": 0}],
            "throttleWriteBpsDevice": [{@DISK, "rate": 0}],
            "throttleReadIOPSDevice": [{@DISK, "rate": 0}],
            "throttleWriteIOPSDevice": [{@DISK, "rate": 0}]}}"#,
        v1: Has(&[
            ("blkio.throttle.read_bps_device", ""),
            ("blkio.throttle.write_bps_device", ""),
            ("blkio.throttle.read_iops_device", ""),
            ("blkio.throttle.write_iops_device", ""),
        ]),
        v2: Has(&[("io.max", "")]),
    },
    Row {
        resources: r#"{"blockIO": {
            "throttleReadBpsDevice": [{"major": 241, "minor": 99, "rate": 1048576}]}}"#,
        v1: Refused(&["241:99", "no such block device"]),
        v2: Refused(&["241:99", "no such block device"]),
    },
    Row {
        resources: r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"#,
        v1: Has(&[
            ("hugetlb.2MB.limit_in_bytes", "4194304"),
            ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304"),
        ]),
        v2: Has(&[("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")]),
    },
    Row {
        resources: r#"{"hugepageLimits": [{"pageSize": "3MB", "limit": 4194304}]}"#,
        v1: Refused(&["hugetlb.3MB", "controller hugetlb", "leave"]),
        v2: Refused(&["hugetlb.3MB", "controller hugetlb", "leave"]),
    },
    Row {
        resources: r#"{"network": {"classID": 1048577}}"#,
        v1: Has(&[("net_cls.classid", "1048577")]),
        v2: Warns("net_cls"),
    },
    Row {
        resources: r#"{"network": {"priorities": [{"name": "lo", "priority": 3}]}}"#,
        v1: Has(&[("net_prio.ifpriomap", "lo 3")]),
        v2: Warns("net_prio"),
    },
    Row {
        resources: r#"{"rdma": {"@RDMA": {"hcaHandles": 3, "hcaObjects": 10000}}}"#,
        v1: Has(&[("rdma.max", "@RDMA hca_handle=3 hca_object=10000")]),
        v2: Has(&[("rdma.max", "@RDMA hca_handle=3 hca_object=10000")]),
    },
    Row {
        resources: r#"{"unified": {"memory.high": "50331648", "pids.max": "77"}}"#,
        v1: Refused(&["unified", "cgroup v2 alone"]),
        v2: Has(&[("memory.high", "50331648"), ("pids.max", "77")]),
    },
    Row {
        resources: r#"{"unified": {"io.max": "@DISK rbps=1048576\n@DISK wbps=2097152"}}"#,
        v1: Refused(&["unified", "cgroup v2 alone"]),
        v2: Has(&[("io.max", "@DISK rbps=1048576 wbps=2097152 riops=max wiops=max")]),
    },
    Row {
        resources: r#"{"unified": {"nosuch.max": "1"}}"#,
        v1: Refused(&["unified", "cgroup v2 alone"]),
        v2: Refused(&["nosuch.max", "controller nosuch", "leave"]),
    },
];
