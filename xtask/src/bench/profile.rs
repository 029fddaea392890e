//! Where the time of one `coracle run` goes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::bundle::Bundle;
use super::container::{Runtime, timed};
use super::programs::{Program, Programs};
use super::samples::{Measure, Samples, Variant};
use super::strace::{Call, Trace};
use crate::packages;

/// How many of the slowest calls are shown.
const SHOWN: usize = 15;

/// How much of a call's text is shown.
const SHOWN_TEXT: usize = 110;

const UNTRACED_RUNS: usize = 30;

/// The processes, in the order of their appearance, and what they execute.
const PROCESSES: [(&str, &str); 3] =
    [("container", "/bin/true"), ("launcher", "/proc/self/fd/"), ("host", "")];

pub fn print(programs: &Programs) -> anyhow::Result<()> {
    packages::ensure(&["busybox-static", "strace"])?;
    let work = tempfile::tempdir()?;
    let programs = programs.copy(work.path(), &[])?;
    let cgroup = format!("coracle-profile-{}", std::process::id());
    let bundle = Bundle::make(work.path().join("bundle"), Variant::Plain, &cgroup)?;
    let coracle = programs.get("coracle");
    let runtime = Runtime { program: &coracle, bundle: &bundle, state: work.path().join("state") };
    print_untraced(&runtime, &programs.get("floor"))?;
    let traces = work.path().join("traces");
    fs::create_dir(&traces)?;
    let mut strace = Command::new("strace");
    strace.args(["-ff", "-ttt", "-T", "-s", "80", "-o"]).arg(traces.join("trace"));
    strace.arg(&coracle.path).arg("--root").arg(&runtime.state);
    timed(strace.args(["run", "--bundle"]).arg(&bundle.path).arg("profile"))?;
    print_traces(&read(&traces)?);
    Ok(())
}

fn print_untraced(runtime: &Runtime<'_>, floor: &Program) -> anyhow::Result<()> {
    let mut samples = Samples::default();
    for _ in 0..UNTRACED_RUNS {
        let coracle = runtime.run()?;
        let rootfs = runtime.bundle.rootfs();
        let least = timed(Command::new(&floor.path).arg(rootfs).arg("/bin/true"))?;
        for (name, time) in [("coracle", coracle), ("floor", least)] {
            samples.add(Variant::Plain, Measure::Run, name, time.as_secs_f64() * 1e3);
        }
    }
    for name in ["coracle", "floor"] {
        let summary = samples.summary(Variant::Plain, Measure::Run, name);
        println!("{name:<10} {:>7.2} ms untraced", summary.context("no runs")?.median);
    }
    Ok(())
}

/// The traces of a directory, each with the name of its process.
fn read(directory: &Path) -> anyhow::Result<Vec<(&'static str, Trace)>> {
    let mut traces = Vec::new();
    for entry in fs::read_dir(directory)? {
        let text = fs::read(entry?.path())?;
        let trace = Trace::parse(&String::from_utf8_lossy(&text));
        let name = PROCESSES.iter().find(|(_, path)| trace.executes(Path::new(path)));
        traces.push((name.map_or("other", |(name, _)| name), trace));
    }
    ensure!(!traces.is_empty(), "strace has written nothing");
    traces.sort_by(|(_, one), (_, other)| one.begin().total_cmp(&other.begin()));
    Ok(traces)
}

fn print_traces(traces: &[(&str, Trace)]) {
    let start = traces.first().map_or(0.0, |(_, trace)| trace.begin());
    println!("\ntraced       begin      end    calls  in calls  in waits   (ms)");
    for (name, trace) in traces {
        let time = |waits: bool| {
            let calls = trace.calls.iter().filter(|call| call.is_wait() == waits);
            calls.map(|call| call.duration).sum::<f64>() / 1e3
        };
        let [begin, end] = [trace.begin(), trace.end].map(|moment| (moment - start) / 1e3);
        let (calls, busy, waiting) = (trace.calls.len(), time(false), time(true));
        println!("{name:<10} {begin:>7.2}  {end:>7.2}  {calls:>7}  {busy:>8.2}  {waiting:>8.2}");
    }
    let calls = traces.iter().flat_map(|(name, trace)| trace.calls.iter().map(move |c| (name, c)));
    let mut slowest: Vec<_> = calls.filter(|(_, call)| !call.is_wait()).collect();
    slowest.sort_by(|(_, one), (_, other)| other.duration.total_cmp(&one.duration));
    println!("\nslowest calls (µs), without waits");
    for (name, Call { begin, duration, text }) in slowest.into_iter().take(SHOWN) {
        let text: String = text.chars().take(SHOWN_TEXT).collect();
        println!("{duration:>8.0}  at {:>7.2} ms  {name:<10} {text}", (begin - start) / 1e3);
    }
}
