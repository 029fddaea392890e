//! `events`: its numbers, its shape, and memory that runs out.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Background, Bundle, CgroupLayout, Cmd, Container, Context, Result, Test, Verdict, check,
    check_eq, check_has, eventually, need, scaled, tests,
};
use serde_json::{Value, json};

use crate::rootless;

pub const TESTS: &[Test] = tests![
    has_the_keys_that_engines_read,
    has_no_other_keys_than_runc,
    counts_processor_time,
    counts_throttling,
    counts_memory_and_its_limits,
    counts_processes,
    counts_what_is_written_to_a_disk,
    measures_again_and_again_until_the_end,
    tells_of_memory_that_runs_out,
    tells_what_the_first_process_died_of,
    measures_what_does_not_run,
    refuses_what_has_ended,
    takes_times_as_go_writes_them,
    says_why_a_user_cannot_measure,
];

const MIB: u64 = 1 << 20;

/// The data of one measurement.
fn stats(container: &Container) -> Result<Value> {
    let output = container.command("events", &["--stats"]).succeed()?;
    check_eq!(output.lines().len(), 1);
    let mut event = output.json()?;
    check_eq!(event["type"], "stats");
    check_eq!(event["id"], container.id());
    Ok(event["data"].take())
}

fn number(data: &Value, pointer: &str) -> u64 {
    data.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// The lines that were printed so far, each a JSON text.
fn lines(events: &Background) -> Result<Vec<Value>> {
    let text = events.stdout()?;
    // The last one may not be complete.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn count(lines: &[Value], kind: &str) -> usize {
    lines.iter().filter(|line| line["type"] == kind).count()
}

fn wait_for(events: &Background, kind: &str, wanted: usize) -> Result<()> {
    eventually(&format!("{wanted} lines of {kind}"), || {
        Ok((count(&lines(events)?, kind) >= wanted).then_some(()))
    })
}

fn has_the_keys_that_engines_read(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    container.wait_for("ready")?;
    let data = stats(&container)?;
    for key in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"] {
        check!(data[key].is_object(), "{key}: {data}");
    }
    check!(data.get("network_interfaces").is_some(), "{data}");
    for pointer in [
        "/cpu/usage/total",
        "/cpu/usage/kernel",
        "/cpu/usage/user",
        "/cpuset/cpu_exclusive",
        "/cpuset/sched_relax_domain_level",
        "/memory/usage/limit",
        "/memory/usage/usage",
        "/memory/usage/failcnt",
        "/memory/swap/limit",
        "/memory/kernel/limit",
        "/memory/kernelTCP/failcnt",
        "/memory/raw/pgfault",
        "/pids/current",
    ] {
        check!(data.pointer(pointer).is_some_and(Value::is_number), "{pointer}: {data}");
    }
    check!(data["cpu"]["throttling"].is_object(), "{data}");
    if t.host().is_v1("cpuacct") {
        for list in ["percpu", "percpu_kernel", "percpu_user"] {
            let times = data["cpu"]["usage"][list].as_array();
            check!(times.is_some_and(|times| times.iter().all(Value::is_u64)), "{data}");
        }
    }
    if t.host().is_v1("cpuset") {
        check!(data["cpuset"]["cpus"][0].is_u64() && data["cpuset"]["mems"][0].is_u64(), "{data}");
    }
    if t.is_coracle() && t.host().layout == CgroupLayout::Unified {
        check!(data["cpu"]["psi"]["some"]["avg10"].is_f64(), "{data}");
        check!(data["memory"]["psi"]["full"]["total"].is_u64(), "{data}");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Every key is one of runc's `types.Stats`: decoders that refuse others must take ours.
fn has_no_other_keys_than_runc(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.writable().script("echo x > /x; sync; sleep 1000"))?;
    let data = stats(&container)?;
    let entry = json!({"limit": 0, "usage": 0, "max": 0, "failcnt": 0});
    let times = json!({"avg10": 0, "avg60": 0, "avg300": 0, "total": 0});
    let psi = json!({"some": times, "full": times});
    let io = json!([{"major": 0, "minor": 0, "op": "", "value": 0}]);
    let shape = json!({
        "cpu": {
            "usage": {
                "total": 0, "percpu": [0], "percpu_kernel": [0], "percpu_user": [0], "kernel": 0, "user": 0,
            },
            "throttling": {"periods": 0, "throttledPeriods": 0, "throttledTime": 0},
            "psi": psi,
        },
        "cpuset": {
            "cpus": [0], "cpu_exclusive": 0, "mems": [0], "mem_hardwall": 0, "mem_exclusive": 0,
            "memory_migrate": 0, "memory_spread_page": 0, "memory_spread_slab": 0, "memory_pressure": 0,
            "sched_load_balance": 0, "sched_relax_domain_level": 0,
        },
        "memory": {
            "cache": 0, "usage": entry, "swap": entry, "kernel": entry, "kernelTCP": entry,
            "raw": {"*": 0}, "psi": psi,
        },
        "pids": {"current": 0, "limit": 0},
        "blkio": {
            "ioServiceBytesRecursive": io, "ioServicedRecursive": io, "ioQueueRecursive": io,
            "ioServiceTimeRecursive": io, "ioWaitTimeRecursive": io, "ioMergedRecursive": io,
            "ioTimeRecursive": io, "sectorsRecursive": io, "psi": psi,
        },
        "hugetlb": {"*": {"usage": 0, "max": 0, "failcnt": 0}},
        "intel_rdt": {},
        "network_interfaces": null,
    });
    fits(&data, &shape, "")?;
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Has the value the keys and types of the shape only? The key `*` stands for any.
fn fits(value: &Value, shape: &Value, path: &str) -> Result<()> {
    match (value, shape) {
        (Value::Object(fields), Value::Object(shapes)) => {
            for (key, value) in fields {
                let shape = shapes.get(key).or(shapes.get("*"));
                check!(shape.is_some(), "{path}/{key}");
                fits(value, shape.unwrap_or(&Value::Null), &format!("{path}/{key}"))?;
            }
        }
        (Value::Array(items), Value::Array(shapes)) => {
            for item in items {
                fits(item, &shapes[0], &format!("{path}[]"))?;
            }
        }
        (value, shape) => {
            let same = std::mem::discriminant(value) == std::mem::discriminant(shape);
            check!(same, "{path} is {value}");
        }
    }
    Ok(())
}

fn counts_processor_time(t: &mut Context) -> Result<Verdict> {
    let count = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let bundle = t.bundle()?.script(&format!("{count}; times; echo done; exec sleep 1000"));
    let container = t.start(&bundle)?;
    container.wait_for("done")?;
    let data = stats(&container)?;
    let total = number(&data, "/cpu/usage/total");
    // What the process says of itself, as 0m0.250s.
    let text = container.stdout()?;
    let words = text.lines().next().unwrap_or_default().split_whitespace();
    let seconds = |word: &str| word.split_once('m')?.1.trim_end_matches('s').parse::<f64>().ok();
    let own: f64 = words.filter_map(seconds).sum();
    check!(own > 0.0, "{text:?}");
    // Others have worked in the container, too, before it started.
    let (low, high) = (own - 0.03, own + 0.2 * scaled(1).as_secs_f64());
    check!((low..high).contains(&(total as f64 / 1e9)), "{total} ns, but the shell says {own} s");
    let modes = number(&data, "/cpu/usage/kernel") + number(&data, "/cpu/usage/user");
    check!(total.abs_diff(modes) < 50_000_000, "{data}");
    if t.host().is_v1("cpuacct") {
        let times = data["cpu"]["usage"]["percpu"].as_array().into_iter().flatten();
        check_eq!(times.filter_map(Value::as_u64).sum::<u64>(), total);
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn counts_throttling(t: &mut Context) -> Result<Verdict> {
    let cpu = json!({"quota": 2000, "period": 20_000});
    let busy = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; exec sleep 1000";
    let bundle = t.bundle()?.set("/linux/resources/cpu", cpu).script(busy);
    let container = t.start(&bundle)?;
    container.wait_for("done")?;
    let throttling = stats(&container)?["cpu"]["throttling"].take();
    check!(number(&throttling, "/throttledPeriods") > 0, "{throttling}");
    check!(
        number(&throttling, "/throttledPeriods") <= number(&throttling, "/periods"),
        "{throttling}"
    );
    // A millisecond, in nanoseconds.
    check!(number(&throttling, "/throttledTime") > 1_000_000, "{throttling}");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn counts_memory_and_its_limits(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &["size=1g"]);
    let bundle = bundle.set("/linux/resources/memory/limit", 64 * MIB);
    let fill = "dd if=/dev/zero of=/mnt/x bs=1M count=16 2> /dev/null; echo done; exec sleep 1000";
    let container = t.start(&bundle.script(fill))?;
    container.wait_for("done")?;
    let data = stats(&container)?;
    // The kernel counts in batches.
    for pointer in ["/memory/usage/usage", "/memory/cache", "/memory/raw/shmem"] {
        check!((15 * MIB..32 * MIB).contains(&number(&data, pointer)), "{pointer}: {data}");
    }
    check_eq!(number(&data, "/memory/usage/limit"), 64 * MIB);
    // Memory and swap together, on v2 too; nothing if the kernel does not count swap.
    let swap = number(&data, "/memory/swap/usage");
    check!(swap == 0 || swap > 15 * MIB, "{data}");
    container.delete_forcibly()?;
    let unlimited = t.create(&t.bundle()?)?;
    check!(number(&stats(&unlimited)?, "/memory/usage/limit") > 1 << 60, "not the kernel's number");
    unlimited.delete()?;
    Ok(Passed)
}

fn counts_processes(t: &mut Context) -> Result<Verdict> {
    let script = "sleep 1000 & sleep 1000 & echo ready; wait";
    let bundle = t.bundle()?.set("/linux/resources/pids/limit", 20).script(script);
    let container = t.start(&bundle)?;
    container.wait_for("ready")?;
    check_eq!(stats(&container)?["pids"], json!({"current": 3, "limit": 20}));
    container.delete_forcibly()?;
    let unlimited = t.start(&t.bundle()?.script("echo ready; exec sleep 1000"))?;
    unlimited.wait_for("ready")?;
    check_eq!(stats(&unlimited)?["pids"], json!({"current": 1}));
    unlimited.delete_forcibly()?;
    Ok(Passed)
}

fn counts_what_is_written_to_a_disk(t: &mut Context) -> Result<Verdict> {
    // What is in the test's own directory need not be on a disk.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(t.id());
    need!(fs::create_dir_all(&directory).is_ok(), "nothing can be written where this was built");
    if rustix::fs::major(fs::metadata(&directory)?.dev()) == 0 {
        fs::remove_dir_all(&directory)?;
        return Ok(Verdict::Skipped("the file system is on no block device".into()));
    }
    let bundle = t.bundle()?.mount("/mnt", "bind", &directory.to_string_lossy(), &["bind"]);
    let write = "dd if=/dev/zero of=/mnt/x bs=1M count=4 oflag=direct && echo done";
    let container = t.start(&bundle.script(&format!("{write}; exec sleep 1000")))?;
    let written = eventually("the end of dd", || {
        let (said, failed) = (container.stdout()?, container.stderr()?);
        Ok((said.contains("done") || failed.contains("dd:")).then(|| said.contains("done")))
    })?;
    let data = stats(&container)?;
    container.delete_forcibly()?;
    fs::remove_dir_all(&directory)?;
    need!(written, "the file system does not write past its cache");
    let Some(bytes) = data["blkio"]["ioServiceBytesRecursive"].as_array() else {
        return Ok(Verdict::Skipped("no controller counts here".into()));
    };
    let writes = bytes.iter().filter(|entry| entry["op"] == "Write");
    let most = writes.map(|entry| number(entry, "/value")).max().unwrap_or_default();
    check!((4 * MIB..8 * MIB).contains(&most), "{data}");
    check!(bytes.iter().all(|entry| number(entry, "/major") > 0), "{data}");
    let operations = data["blkio"]["ioServicedRecursive"].as_array().map(Vec::len);
    check_eq!(operations, Some(bytes.len()));
    Ok(Passed)
}

fn measures_again_and_again_until_the_end(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    container.wait_for("ready")?;
    let events = container.command("events", &["--interval", "50ms"]).spawn()?;
    wait_for(&events, "stats", 3)?;
    check!(events.runs()?, "it ended");
    container.kill("KILL")?;
    container.wait_until_stopped()?;
    container.delete()?;
    let output = events.wait()?.expect(0)?;
    let totals: Vec<_> = output
        .lines()
        .into_iter()
        .map(|line| Ok(number(&serde_json::from_str(line)?, "/data/cpu/usage/total")))
        .collect::<Result<_>>()?;
    check!(totals.is_sorted() && totals.first() < totals.last(), "{totals:?}");
    Ok(Passed)
}

/// A container with little memory, and its events: they are watched before it starts.
fn with_little_memory(t: &Context, bundle: &Bundle) -> Result<(Container, Background)> {
    let bundle = bundle.clone().set("/linux/resources/memory/limit", 24 * MIB);
    let bundle = bundle.set("/linux/resources/memory/swap", 24 * MIB);
    let container = t.create(&bundle)?;
    let events = container.command("events", &["--interval", "20ms"]).spawn()?;
    wait_for(&events, "stats", 1)?;
    container.start()?;
    Ok((container, events))
}

fn tells_of_memory_that_runs_out(t: &mut Context) -> Result<Verdict> {
    let greedy = "dd if=/dev/zero of=/dev/null bs=64M count=1 2> /dev/null";
    let script = format!("{greedy}; echo survived; {greedy}; echo again; exec sleep 1000");
    let (container, events) = with_little_memory(t, &t.bundle()?.script(&script))?;
    container.wait_for("again")?;
    wait_for(&events, "oom", 2)?;
    let seen = lines(&events)?;
    let oom = seen.iter().find(|line| line["type"] == "oom");
    check_eq!(oom, Some(&json!({"type": "oom", "id": container.id()})));
    if t.is_coracle() {
        check_eq!(count(&seen, "oom"), 2);
    }
    container.delete_forcibly()?;
    events.wait()?.expect(0)?;
    Ok(Passed)
}

fn tells_what_the_first_process_died_of(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others may see the end first");
    for _ in 0..5 {
        let greedy = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
        let (container, events) = with_little_memory(t, &t.bundle()?.args(&greedy))?;
        container.wait_until_stopped()?;
        let output = events.wait()?.expect(0)?;
        check_eq!(output.lines().iter().filter(|line| line.contains("\"oom\"")).count(), 1);
        container.delete()?;
    }
    Ok(Passed)
}

fn measures_what_does_not_run(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.idle())?;
    check!(number(&stats(&container)?, "/pids/current") > 0, "created");
    container.start()?;
    container.wait_for("ready")?;
    container.command("pause", &[]).succeed()?;
    let [first, second] = [stats(&container)?, stats(&container)?];
    check_eq!(first["cpu"]["usage"]["total"], second["cpu"]["usage"]["total"]);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_what_has_ended(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?)?;
    container.wait_until_stopped()?;
    for flags in [&["--stats"][..], &[]] {
        let output = container.command("events", flags).run()?;
        check_eq!(output.stdout, "");
        output.refused(&["cannot measure", container.id(), "stopped"])?;
    }
    container.delete()?;
    let events = |args: &[&str]| -> Result<Cmd> { Ok(t.command().arg("events").args(args)) };
    events(&["nobody"])?.run()?.refused(&["does not exist"])?;
    events(&["--stats", "nobody"])?.run()?.refused(&["does not exist"])?;
    check!(events(&[])?.run()?.code() != 0, "it needs an id");
    check!(events(&["a", "b"])?.run()?.code() != 0, "it takes one id");
    Ok(Passed)
}

fn takes_times_as_go_writes_them(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    for time in ["5s", "1m", "1h2m3.5s", "500ms", "20us"] {
        container.command("events", &["--stats", "--interval", time]).succeed()?;
    }
    for wrong in ["0", "0s", "-1s", "1x", "s", ""] {
        let output = container.command("events", &["--interval", wrong]).run()?;
        check!(output.code() != 0, "{wrong:?}: {output}");
        if t.is_coracle() {
            output.refused(&["--interval", "500ms"])?;
        }
    }
    if t.is_coracle() {
        container.command("events", &["--stats", "--interval=2"]).succeed()?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn says_why_a_user_cannot_measure(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others may have no words for it");
    let container = rootless::create(t, &rootless::bundle(t)?.idle())?;
    let output = container.command("events", &["--stats"]).run()?;
    if output.code() != 0 {
        check_has!(output.stderr, "cgroup", "delegated");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
