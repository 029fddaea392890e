//! What limits do to those who meet them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Cmd, Container, Context, Result, Test, Verdict, check, check_eq, eventually, need, rounds,
    tests,
};
use serde_json::json;

pub const TESTS: &[Test] = tests![
    kills_what_takes_too_much_memory,
    starts_in_little_memory_or_says_why_not,
    refuses_less_memory_than_is_in_use,
    stops_a_fork_bomb,
    slows_down_what_only_computes,
    slows_down_what_reads_a_disk,
];

const MIB: u64 = 1 << 20;

fn limit(t: &Context, container: &Container, controller: &str, files: [&str; 2]) -> Result<String> {
    t.host().limit_of(container.pid()?, controller, files)
}

/// That `events` tells of it is tested with that command.
fn kills_what_takes_too_much_memory(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/resources/memory/limit", 24 * MIB);
    let bundle = bundle.set("/linux/resources/memory/swap", 24 * MIB);
    let buffer = |size: &str| {
        let size = format!("bs={size}");
        bundle.clone().args(&["dd", "if=/dev/zero", "of=/dev/null", &size, "count=1"])
    };
    t.run(&buffer("64M"))?.expect(137)?;
    t.run(&buffer("4M"))?.expect(0)?;
    Ok(Passed)
}

/// Either it runs, or the error names the limit. Less than what the command itself needs may kill it.
fn starts_in_little_memory_or_says_why_not(t: &mut Context) -> Result<Verdict> {
    const KIB: u64 = 1 << 10;
    for limit in
        [4 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 8 * MIB]
    {
        for _ in 0..rounds(2) {
            let bundle = t.bundle()?.set("/linux/resources/memory/limit", limit);
            let output = t.run(&bundle.set("/linux/resources/memory/swap", limit))?;
            let killed = limit < 512 * KIB && output.code() == 137;
            if output.code() != 0 && !killed {
                let reason = format!("the memory limit of {limit} bytes is too low");
                output.refused(&[&reason, "raise /linux/resources/memory/limit"])?;
            }
        }
    }
    Ok(Passed)
}

fn refuses_less_memory_than_is_in_use(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other messages");
    let bundle = t.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &["size=64m"]);
    let bundle = bundle.set("/linux/resources/memory/limit", 64 * MIB);
    let script =
        "dd if=/dev/zero of=/mnt/x bs=1M count=16 2> /dev/null; echo full; exec sleep 1000";
    let container = t.start(&bundle.script(script))?;
    container.wait_for("full")?;
    let memory = json!({"memory": {"limit": 4 * MIB, "swap": 4 * MIB, "checkBeforeUpdate": true}});
    let update = container.command("update", &["-r", "-"]).input(&memory.to_string())?;
    update.run()?.refused(&["in use", "ask for more"])?;
    let files = ["memory.limit_in_bytes", "memory.max"];
    check_eq!(limit(t, &container, "memory", files)?, (64 * MIB).to_string());
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn stops_a_fork_bomb(t: &mut Context) -> Result<Verdict> {
    const LIMIT: u64 = 24;
    let bundle = t.bundle()?.set("/linux/resources/pids/limit", LIMIT);
    // Whose fork fails, that shell ends: the first one plants bombs only.
    let bomb =
        "f() { while :; do (f) & done; }; for i in 1 2 3; do (f) & wait; done; exec sleep 1000";
    let container = t.start(&bundle.script(bomb))?;
    eventually("forks that are refused", || {
        let processes: u64 = limit(t, &container, "pids", ["pids.current"; 2])?.parse()?;
        check!(processes <= LIMIT, "{processes} processes");
        let events = limit(t, &container, "pids", ["pids.events"; 2])?;
        let refused = events.split_whitespace().nth(1).context("pids.events")?.parse::<u64>()?;
        Ok((refused >= 3).then_some(()))
    })?;
    eventually("what a shell says of it", || {
        Ok(container.stderr()?.contains("can't fork").then_some(()))
    })?;
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// How much of something goes by in a second, over a time that is long against the periods of limits.
fn rate(count: impl Fn() -> Result<f64>) -> Result<f64> {
    let (begin, before) = (Instant::now(), count()?);
    std::thread::sleep(Duration::from_secs(3));
    Ok((count()? - before) / begin.elapsed().as_secs_f64())
}

/// The time of the processor that it had, not the time that it takes: the machine has other work, too, and
/// then it may get less.
fn slows_down_what_only_computes(t: &mut Context) -> Result<Verdict> {
    let cpu = json!({"quota": 20_000, "period": 100_000});
    let bundle = t.bundle()?.set("/linux/resources/cpu", cpu);
    let container = t.start(&bundle.script("echo ready; while :; do :; done"))?;
    container.wait_for("ready")?;
    let seconds = || -> Result<f64> {
        let text = limit(t, &container, "cpuacct", ["cpuacct.usage", "cpu.stat"])?;
        let scale = if t.host().is_v1("cpuacct") { 1e-9 } else { 1e-6 };
        let number = text.trim_start_matches("usage_usec ").lines().next();
        Ok(number.context("no usage")?.parse::<f64>()? * scale)
    };
    let mut seen = Vec::new();
    for _ in 0..10 {
        let share = rate(seconds)?;
        check!(share < 0.22, "it had {share} of a processor");
        seen.push(share);
        if share > 0.18 {
            container.delete_forcibly()?;
            return Ok(Passed);
        }
    }
    bail!("it had less than its share each time: {seen:?}");
}

/// A file as a block device, until it is dropped.
struct Loop(String);

impl Loop {
    fn of(t: &Context, size: u64) -> Result<Self> {
        let path = t.path("disk");
        std::fs::File::create(&path)?.set_len(size)?;
        let output = Cmd::new("losetup").args(["--find", "--show", "--read-only"]).arg(path);
        Ok(Self(output.succeed()?.text().to_owned()))
    }

    fn number(&self) -> Result<String> {
        let name = self.0.trim_start_matches("/dev/");
        let number = std::fs::read_to_string(format!("/sys/block/{name}/dev"))?;
        Ok(number.trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Cmd::new("losetup").args(["--detach", &self.0]).run().map(drop).unwrap_or_default();
    }
}

fn slows_down_what_reads_a_disk(t: &mut Context) -> Result<Verdict> {
    let controller = if t.host().is_v1("blkio") { "blkio" } else { "io" };
    need!(t.host().has_controller(controller), "no {controller} controller");
    need!(std::path::Path::new("/dev/loop-control").exists(), "no loop devices");
    let disk = Loop::of(t, 64 * MIB)?;
    let number = disk.number()?;
    let (major, minor) = number.split_once(':').context("a device number")?;
    let (major, minor): (u32, u32) = (major.parse()?, minor.parse()?);
    let throttle = json!([{"major": major, "minor": minor, "rate": MIB}]);
    let bundle = t.bundle()?.set("/linux/resources/blockIO/throttleReadBpsDevice", throttle);
    let node = json!({"path": "/dev/disk", "type": "b", "major": major, "minor": minor});
    let read = ["dd", "if=/dev/disk", "of=/dev/null", "bs=64k"];
    let container = t.start(&bundle.push("/linux/devices", node).args(&read))?;
    let files = ["blkio.throttle.io_service_bytes", "io.stat"];
    let bytes = || -> Result<f64> {
        let text = limit(t, &container, controller, files)?;
        let lines = text.lines().filter(|line| line.starts_with(&format!("{number} ")));
        let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>();
        let v1 = words.iter().position(|word| *word == "Read").and_then(|at| words.get(at + 1));
        let v2 = words.iter().find_map(|word| word.strip_prefix("rbytes="));
        Ok(v2.or(v1.copied()).unwrap_or("0").parse()?)
    };
    eventually("something read", || Ok((bytes()? > 0.0).then_some(())))?;
    let read = rate(bytes)?;
    #[expect(clippy::cast_precision_loss, reason = "it is a power of two")]
    let expected = MIB as f64;
    check!(read > 0.0 && read < 1.2 * expected, "{read} bytes a second");
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    drop(disk);
    Ok(Passed)
}
