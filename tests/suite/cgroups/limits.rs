//! Limits that more than one field, or none, is about.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    CgroupLayout, Container, Context, Result, Test, Verdict, check, check_eq, need, tests,
};
use serde_json::{Value, json};

pub const TESTS: &[Test] = tests![
    limits_processors_and_memory_nodes,
    takes_odd_limits_of_processes,
    refuses_unified_settings_that_the_kernel_has_not,
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

fn takes_odd_limits_of_processes(t: &mut Context) -> Result<Verdict> {
    for (asked, set) in [(-1, "max"), (0, "1"), (1, "1")] {
        let container = limited(t, json!({"pids": {"limit": asked}}))?;
        check_eq!((asked, limit(t, &container, "pids", ["pids.max"; 2])?.as_str()), (asked, set));
        container.start()?;
        container.finish()?;
    }
    Ok(Passed)
}

fn refuses_unified_settings_that_the_kernel_has_not(t: &mut Context) -> Result<Verdict> {
    need!(t.host().layout == CgroupLayout::Unified, "no unified hierarchy");
    for wrong in ["nosuch.max", "../memory.high", "memory.nosuch"] {
        let bundle = t.bundle()?.set("/linux/resources/unified", json!({ wrong: "1" }));
        t.run(&bundle)?.refused(&[wrong])?;
    }
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
