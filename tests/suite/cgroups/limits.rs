//! Limits, read back from the cgroup, and some of their effects.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    CgroupLayout, Container, Context, Result, Test, Verdict, check, check_eq, check_has, need,
    tests,
};
use serde_json::{Value, json};

pub const TESTS: &[Test] = tests![
    limits_memory,
    limits_memory_and_swap,
    ends_what_takes_too_much_memory,
    explains_a_limit_too_low_to_start,
    shares_the_processor,
    limits_the_processor,
    limits_processors_and_memory_nodes,
    limits_processes,
    takes_odd_limits_of_processes,
    limits_block_devices,
    limits_huge_pages,
    passes_on_unified_settings,
    refuses_unified_settings_on_version_1,
    says_which_limit_the_kernel_refuses,
    sets_nothing_that_is_not_asked_for,
];

const MIB: u64 = 1 << 20;

/// A container that waits for its start, with these resources.
fn limited(t: &Context, resources: Value) -> Result<Container> {
    let mut bundle = t.bundle()?;
    for (name, value) in resources.as_object().into_iter().flatten() {
        bundle = bundle.set(&format!("/linux/resources/{name}"), value.clone());
    }
    t.create(&bundle)
}

fn limit(t: &Context, container: &Container, controller: &str, files: [&str; 2]) -> Result<String> {
    t.host().limit_of(container.pid()?, controller, files)
}

fn limits_memory(t: &mut Context) -> Result<Verdict> {
    let memory = json!({"limit": 64 * MIB, "reservation": 32 * MIB});
    let container = limited(t, json!({"memory": memory}))?;
    let files = ["memory.limit_in_bytes", "memory.max"];
    check_eq!(limit(t, &container, "memory", files)?, (64 * MIB).to_string());
    let files = ["memory.soft_limit_in_bytes", "memory.low"];
    check_eq!(limit(t, &container, "memory", files)?, (32 * MIB).to_string());
    container.delete()?;
    let unlimited = limited(t, json!({"memory": {"limit": -1}}))?;
    let seen = limit(t, &unlimited, "memory", ["memory.limit_in_bytes", "memory.max"])?;
    check!(seen == "max" || seen.parse::<u64>()? > 1 << 60, "{seen}");
    unlimited.delete()?;
    Ok(Passed)
}

fn limits_memory_and_swap(t: &mut Context) -> Result<Verdict> {
    let v1 = t.host().is_v1("memory");
    let root = t.host().hierarchy("memory")?;
    need!(!v1 || root.join("memory.memsw.limit_in_bytes").exists(), "the kernel counts no swap");
    need!(v1 || fs::metadata("/proc/swaps").is_ok(), "the kernel has no swap");
    let container = limited(t, json!({"memory": {"limit": 64 * MIB, "swap": 96 * MIB}}))?;
    let files = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
    let expected = if v1 { 96 * MIB } else { 32 * MIB };
    check_eq!(limit(t, &container, "memory", files)?, expected.to_string());
    container.delete()?;
    if v1 {
        let container = limited(t, json!({"memory": {"swappiness": 17}}))?;
        check_eq!(limit(t, &container, "memory", ["memory.swappiness", ""])?, "17");
        container.delete()?;
    }
    Ok(Passed)
}

fn ends_what_takes_too_much_memory(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/resources/memory/limit", 24 * MIB);
    let bundle = bundle.set("/linux/resources/memory/swap", 24 * MIB);
    let bundle = bundle.mount("/mnt", "tmpfs", "tmpfs", &["size=1g"]);
    let greedy = "dd if=/dev/zero of=/mnt/x bs=1M count=100; echo \"dd ended with $?\"";
    let output = t.run(&bundle.clone().script(greedy))?;
    check!(output.code() == 137 || output.stdout.contains("137"), "{output}");
    let modest = "dd if=/dev/zero of=/mnt/x bs=1M count=4 2>/dev/null; echo \"dd ended with $?\"";
    check_eq!(t.run(&bundle.script(modest))?.expect(0)?.text(), "dd ended with 0");
    Ok(Passed)
}

fn explains_a_limit_too_low_to_start(t: &mut Context) -> Result<Verdict> {
    for limit in [4096, 65_536, 262_144] {
        let bundle = t.bundle()?.set("/linux/resources/memory/limit", limit);
        let bundle = bundle.set("/linux/resources/memory/swap", limit);
        let output = t.run(&bundle)?;
        // It may also be the command that is killed, or all may go well.
        if ![0, 137].contains(&output.code()) {
            output.refused(&["memory"])?;
        }
    }
    Ok(Passed)
}

fn shares_the_processor(t: &mut Context) -> Result<Verdict> {
    let container = limited(t, json!({"cpu": {"shares": 2048}}))?;
    let seen = limit(t, &container, "cpu", ["cpu.shares", "cpu.weight"])?;
    if t.host().is_v1("cpu") {
        check_eq!(seen, "2048");
    } else {
        // Twice the default share is something above the default weight, by either formula.
        let weight: u32 = seen.parse()?;
        check!(weight == 79 || (101..=250).contains(&weight), "{weight}");
    }
    container.delete()?;
    Ok(Passed)
}

fn limits_the_processor(t: &mut Context) -> Result<Verdict> {
    let container = limited(t, json!({"cpu": {"quota": 25_000, "period": 50_000}}))?;
    if t.host().is_v1("cpu") {
        check_eq!(limit(t, &container, "cpu", ["cpu.cfs_quota_us", ""])?, "25000");
        check_eq!(limit(t, &container, "cpu", ["cpu.cfs_period_us", ""])?, "50000");
    } else {
        check_eq!(limit(t, &container, "cpu", ["", "cpu.max"])?, "25000 50000");
    }
    container.delete()?;
    let container = limited(t, json!({"cpu": {"quota": 7000}}))?;
    let seen = limit(t, &container, "cpu", ["cpu.cfs_quota_us", "cpu.max"])?;
    check!(seen == "7000" || seen == "7000 100000", "{seen}");
    container.delete()?;
    Ok(Passed)
}

fn limits_processors_and_memory_nodes(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/resources/cpu", json!({"cpus": "0", "mems": "0"}));
    let bundle = bundle.script("nproc; grep Cpus_allowed_list /proc/self/status");
    let container = t.create(&bundle)?;
    check_eq!(limit(t, &container, "cpuset", ["cpuset.cpus"; 2])?, "0");
    check_eq!(limit(t, &container, "cpuset", ["cpuset.mems"; 2])?, "0");
    container.start()?;
    check_eq!(container.finish()?, "1\nCpus_allowed_list:\t0\n");
    Ok(Passed)
}

fn limits_processes(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/resources/pids/limit", 5);
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait; echo all";
    let bundle = bundle.script(script);
    let container = t.create(&bundle)?;
    check_eq!(limit(t, &container, "pids", ["pids.max"; 2])?, "5");
    container.delete()?;
    let output = t.run(&bundle)?;
    check_has!(output.stderr, "can't fork");
    Ok(Passed)
}

fn takes_odd_limits_of_processes(t: &mut Context) -> Result<Verdict> {
    for (asked, set) in [(-1, "max"), (0, "1"), (1, "1")] {
        let container = limited(t, json!({"pids": {"limit": asked}}))?;
        check_eq!((asked, limit(t, &container, "pids", ["pids.max"; 2])?.as_str()), (asked, set));
        container.start()?;
        container.finish()?;
    }
    Ok(Passed)
}

fn limits_block_devices(t: &mut Context) -> Result<Verdict> {
    let controller = if t.host().is_v1("blkio") { "blkio" } else { "io" };
    need!(t.host().has_controller(controller), "no {controller} controller");
    let disks = fs::read_dir("/sys/block")?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let empty = fs::read_to_string(path.join("size")).ok()?.trim() == "0";
        (!empty).then(|| fs::read_to_string(path.join("dev")).ok()).flatten()
    });
    let Some(disk) = disks.max() else { return Ok(Verdict::Skipped("no block device".into())) };
    let disk = disk.trim();
    let (major, minor) = disk.split_once(':').unwrap_or_default();
    let numbers: [u32; 2] = [major.parse()?, minor.parse()?];
    let throttle = json!([{"major": numbers[0], "minor": numbers[1], "rate": MIB}]);
    let container = limited(t, json!({"blockIO": {"throttleReadBpsDevice": throttle}}))?;
    let seen = limit(t, &container, controller, ["blkio.throttle.read_bps_device", "io.max"])?;
    check_has!(seen, disk, &MIB.to_string());
    container.delete()?;
    Ok(Passed)
}

fn limits_huge_pages(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_controller("hugetlb"), "no hugetlb controller");
    let pages = json!([{"pageSize": "2MB", "limit": 4 * MIB}]);
    let container = limited(t, json!({"hugepageLimits": pages}))?;
    let files = ["hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"];
    check_eq!(limit(t, &container, "hugetlb", files)?, (4 * MIB).to_string());
    container.delete()?;
    Ok(Passed)
}

fn passes_on_unified_settings(t: &mut Context) -> Result<Verdict> {
    need!(t.host().layout == CgroupLayout::Unified, "no unified hierarchy");
    let unified = json!({"memory.high": (48 * MIB).to_string(), "pids.max": "77"});
    let container = limited(t, json!({"unified": unified}))?;
    check_eq!(limit(t, &container, "memory", ["", "memory.high"])?, (48 * MIB).to_string());
    check_eq!(limit(t, &container, "pids", ["", "pids.max"])?, "77");
    container.delete()?;
    for wrong in ["nosuch.max", "../memory.high", "memory.nosuch"] {
        let bundle = t.bundle()?.set("/linux/resources/unified", json!({ wrong: "1" }));
        t.run(&bundle)?.refused(&[wrong])?;
    }
    Ok(Passed)
}

fn refuses_unified_settings_on_version_1(t: &mut Context) -> Result<Verdict> {
    need!(t.host().layout != CgroupLayout::Unified, "the hierarchy is unified");
    let bundle = t.bundle()?.set("/linux/resources/unified", json!({"memory.high": "100000000"}));
    t.run(&bundle)?.refused(&["memory.high"])?;
    Ok(Passed)
}

fn says_which_limit_the_kernel_refuses(t: &mut Context) -> Result<Verdict> {
    let refused = |resources: Value, words: &[&str]| -> Result<()> {
        let bundle = t.bundle()?.set("/linux/resources", resources);
        t.run(&bundle)?.refused(words)?;
        Ok(())
    };
    refused(json!({"cpu": {"cpus": "4095"}}), &["cpuset.cpus", "4095"])?;
    refused(json!({"cpu": {"cpus": "nonsense"}}), &["cpu", "nonsense"])?;
    refused(json!({"cpu": {"quota": 1, "period": 100_000}}), &["cpu", "1"])?;
    refused(json!({"memory": {"limit": 64 * MIB, "swap": 32 * MIB}}), &["memory", "swap"])?;
    Ok(Passed)
}

fn sets_nothing_that_is_not_asked_for(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?)?;
    check_eq!(limit(t, &container, "pids", ["pids.max"; 2])?, "max");
    let memory = limit(t, &container, "memory", ["memory.limit_in_bytes", "memory.max"])?;
    check!(memory == "max" || memory.parse::<u64>()? > 1 << 60, "{memory}");
    let quota = limit(t, &container, "cpu", ["cpu.cfs_quota_us", "cpu.max"])?;
    check!(quota == "-1" || quota.starts_with("max"), "{quota}");
    container.delete()?;
    Ok(Passed)
}
