//! Fields that change how the kernel treats the process: what the process itself sees of them.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Host, Result, Test, Verdict, check_eq, need, tests};
use serde_json::{Value, json};

use super::limits::CAP_SYS_RESOURCE;
use crate::exec::process_file;
use crate::namespaces::mapped;

pub const TESTS: &[Test] = tests![
    has_an_effect_on_every_process,
    real_time_policies_have_an_effect,
    says_why_a_policy_cannot_be,
    only_the_host_gives_a_rank_in_a_user_namespace,
    says_why_memory_cannot_come_from_there,
    warns_of_flags_of_a_personality,
];

/// Policy, nice value and real-time priority of the shell.
const SCHEDULING: &str = "set -- $(cat /proc/$$/stat); echo ${41} ${19} ${40}";
/// The same of what it starts.
const OF_CHILD: &str = "set -- $(cat /proc/self/stat); echo ${41} ${19} ${40}";
const IO_PRIORITY: &str = "ionice -p $$";
const PERSONALITY: &str = "cat /proc/self/personality";
const MEMORY: &str = "head -n 1 /proc/self/numa_maps | sed 's/^[^ ]* //; s/ [^ ]*=.*//'";

/// Fields with their values, a script, and what it prints because of them.
type Effect = (Vec<(&'static str, Value)>, &'static str, &'static str);

/// With those that only newer kernels have.
fn effects(host: &Host) -> Vec<Effect> {
    let scheduler = |value: Value| vec![("/process/scheduler", value)];
    let io = |class: &str, priority: u8| {
        vec![("/process/ioPriority", json!({"class": class, "priority": priority}))]
    };
    let memory = |value: Value| vec![("/linux/memoryPolicy", value)];
    let domain = |name: &str| vec![("/linux/personality/domain", json!(name))];
    let reset = json!({"policy": "SCHED_BATCH", "nice": -5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let keep = |what: &str| json!({"policy": "SCHED_BATCH", "nice": 3, "flags": [what]});
    let relative = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]});
    let fixed =
        json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-0,", "flags": ["MPOL_F_STATIC_NODES"]});
    let balanced = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]});
    let newer = [
        ((5, 12), memory(balanced), "bind=balancing:0"),
        ((5, 15), memory(json!({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"})), "prefer (many):0"),
        (
            (6, 9),
            memory(json!({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"})),
            "weighted interleave:0",
        ),
    ];
    let newer = newer.into_iter().filter(|((major, minor), ..)| host.kernel_is(*major, *minor));
    let mut effects = vec![
        (scheduler(json!({"policy": "SCHED_BATCH", "nice": 4})), SCHEDULING, "3 4 0"),
        (scheduler(json!({"policy": "SCHED_OTHER", "nice": -5})), SCHEDULING, "0 -5 0"),
        (scheduler(json!({"policy": "SCHED_IDLE"})), SCHEDULING, "5 0 0"),
        (scheduler(reset.clone()), SCHEDULING, "3 -5 0"),
        (scheduler(reset), OF_CHILD, "3 0 0"),
        (scheduler(keep("SCHED_FLAG_KEEP_POLICY")), SCHEDULING, "0 3 0"),
        (scheduler(keep("SCHED_FLAG_KEEP_PARAMS")), SCHEDULING, "0 0 0"),
        (io("IOPRIO_CLASS_RT", 3), IO_PRIORITY, "realtime: prio 3"),
        (io("IOPRIO_CLASS_BE", 5), IO_PRIORITY, "best-effort: prio 5"),
        (io("IOPRIO_CLASS_IDLE", 0), IO_PRIORITY, "idle"),
        (domain("LINUX"), PERSONALITY, "00000000"),
        (domain("LINUX32"), PERSONALITY, "00000008"),
        (memory(json!({"mode": "MPOL_DEFAULT"})), MEMORY, "default"),
        (memory(json!({"mode": "MPOL_LOCAL"})), MEMORY, "local"),
        (memory(json!({"mode": "MPOL_PREFERRED"})), MEMORY, "local"),
        (memory(json!({"mode": "MPOL_PREFERRED", "nodes": "0"})), MEMORY, "prefer:0"),
        (memory(json!({"mode": "MPOL_BIND", "nodes": "0"})), MEMORY, "bind:0"),
        (memory(relative), MEMORY, "bind=relative:0"),
        (memory(fixed), MEMORY, "interleave=static:0"),
        (vec![("/process/oomScoreAdj", json!(321))], "cat /proc/self/oom_score_adj", "321"),
        (vec![("/process/user/umask", json!(0o027))], "umask", "0027"),
        (
            vec![("/process/noNewPrivileges", json!(true))],
            "grep -o 'NoNewPrivs.*' /proc/self/status | cut -f 2",
            "1",
        ),
    ];
    effects.extend(newer.map(|(_, fields, shown)| (fields, MEMORY, shown)));
    effects
}

fn with(bundle: Bundle, fields: &[(&str, Value)]) -> Bundle {
    fields.iter().fold(bundle, |bundle, (pointer, value)| bundle.set(pointer, value.clone()))
}

/// The container's own process, another one in it, and one whose own description says so.
fn has_an_effect_on_every_process(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know all of these fields");
    need!(std::fs::exists("/proc/self/numa_maps")?, "the kernel is built without NUMA");
    let plain = t.start(&t.bundle()?.idle())?;
    plain.wait_for("ready")?;
    for (fields, script, expected) in effects(t.host()) {
        let seen = |how, text: &str| (fields.clone(), how, text.to_owned());
        let output = t.run(&with(t.bundle()?, &fields).script(script))?.expect(0)?;
        check_eq!(seen("run", output.text()), seen("run", expected));
        let container = t.start(&with(t.bundle()?, &fields).idle())?;
        let output = container.script(script)?;
        check_eq!(seen("exec", output.text()), seen("exec", expected));
        container.delete_forcibly()?;
        if fields.iter().all(|(pointer, _)| pointer.starts_with("/process/")) {
            let own = with(t.bundle()?.script(script), &fields).spec()["process"].clone();
            let file = process_file(t, &own)?;
            let output = plain.exec_with(&["--process", &file], &[]).succeed()?;
            check_eq!(seen("exec --process", output.text()), seen("exec --process", expected));
        }
    }
    plain.delete_forcibly()?;
    Ok(Passed)
}

const DEADLINE: &str = "SCHED_DEADLINE";

fn deadline() -> Value {
    let [runtime, period] = [1_000_000, 100_000_000];
    // Without the flag the process could start no other.
    json!({"policy": DEADLINE, "runtime": runtime, "deadline": period, "period": period,
        "flags": ["SCHED_FLAG_RESET_ON_FORK"]})
}

/// Does real time belong to cgroups?
fn has_real_time_groups(t: &Context) -> Result<bool> {
    Ok(t.host().is_v1("cpu") && t.host().hierarchy("cpu")?.join("cpu.rt_runtime_us").exists())
}

/// A bundle whose processes may run in real time.
pub fn real_time(t: &Context) -> Result<Bundle> {
    let bundle = t.bundle()?;
    Ok(match has_real_time_groups(t)? {
        true => bundle.set("/linux/resources/cpu/realtimeRuntime", 10_000),
        false => bundle,
    })
}

fn real_time_policies_have_an_effect(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let policies = [
        (json!({"policy": "SCHED_FIFO", "priority": 10}), "1 0 10"),
        (json!({"policy": "SCHED_RR", "priority": 99}), "2 0 99"),
        (deadline(), "6 0 0"),
    ];
    for (policy, expected) in policies {
        let bundle = real_time(t)?.set("/process/scheduler", policy);
        check_eq!(t.run(&bundle.script(SCHEDULING))?.expect(0)?.text(), expected);
    }
    Ok(Passed)
}

fn says_why_a_policy_cannot_be(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let run = |bundle: Bundle, policy: Value| t.run(&bundle.set("/process/scheduler", policy));
    run(t.bundle()?, json!({"policy": "SCHED_ISO"}))?
        .refused(&["/process/scheduler", "no kernel implements"])?;
    if has_real_time_groups(t)? {
        let first = json!({"policy": "SCHED_FIFO", "priority": 1});
        run(t.bundle()?, first)?.refused(&["/process/scheduler", "real-time runtime"])?;
    }
    need!(t.host().has_controller("cpuset"), "no cpuset");
    need!(std::fs::read_to_string("/sys/devices/system/cpu/online")?.trim() != "0", "one CPU");
    let bundle = real_time(t)?.set("/linux/resources/cpu/cpus", "1");
    run(bundle, deadline())?.refused(&["/process/scheduler", "no cpuset may leave some out"])?;
    Ok(Passed)
}

/// But for what the resource limits allow.
fn only_the_host_gives_a_rank_in_a_user_namespace(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let rank = |nice: i32| json!({"policy": "SCHED_OTHER", "nice": nice});
    let run = |fields: &[(&str, Value)]| t.run(&with(mapped(t)?, fields).script(SCHEDULING));
    check_eq!(run(&[("/process/scheduler", rank(7))])?.expect(0)?.text(), "0 7 0");
    run(&[("/process/scheduler", rank(-7))])?.refused(&["/process/scheduler", "RLIMIT_NICE"])?;
    let first = json!({"class": "IOPRIO_CLASS_RT", "priority": 0});
    run(&[("/process/ioPriority", first)])?.refused(&["/process/ioPriority", "CAP_SYS_NICE"])?;
    // Without this capability nobody can raise the limit.
    if t.host().has_capability(CAP_SYS_RESOURCE) {
        let limit = json!([{"type": "RLIMIT_NICE", "soft": 27, "hard": 27}]);
        let output = run(&[("/process/scheduler", rank(-7)), ("/process/rlimits", limit)])?;
        check_eq!(output.expect(0)?.text(), "0 -7 0");
    }
    Ok(Passed)
}

fn says_why_memory_cannot_come_from_there(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let policy = json!({"mode": "MPOL_BIND", "nodes": "1000"});
    let output = t.run(&t.bundle()?.set("/linux/memoryPolicy", policy))?;
    output.refused(&["/linux/memoryPolicy", "online"])?;
    Ok(Passed)
}

fn warns_of_flags_of_a_personality(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers do not know the field");
    let asked = json!({"domain": "LINUX32", "flags": ["ADDR_NO_RANDOMIZE"]});
    let bundle = t.bundle()?.set("/linux/personality", asked).script(PERSONALITY);
    let output = t.run(&bundle)?.expect(0)?;
    check_eq!(output.text(), "00000008");
    output.says(&["warning", "/linux/personality/flags"])?;
    Ok(Passed)
}
