//! `stats`: a table that renews itself.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Container, Context, Output, Result, TerminalSession, Test, Verdict, check, check_eq, check_has,
    eventually, need, tests,
};
use rustix::process::Signal;
use serde_json::json;

use crate::rootless;

pub const TESTS: &[Test] = tests![
    shows_what_a_container_uses,
    shows_all_that_run,
    prints_line_after_line_until_the_end,
    ends_when_a_signal_comes,
    renews_the_table_on_a_terminal,
    fits_into_the_window,
    refuses_what_has_ended,
    shows_what_cannot_be_measured,
];

const ONCE: [&str; 3] = ["--no-stream", "--interval", "200ms"];
const MIB: u64 = 1 << 20;

/// The heading and the rows, in words.
fn table(output: &Output) -> Vec<Vec<&str>> {
    output.lines().into_iter().map(|line| line.split_whitespace().collect()).collect()
}

/// A container that is busy for a fifth of a processor.
fn busy(t: &Context) -> Result<Container> {
    let cpu = json!({"quota": 4000, "period": 20_000});
    let bundle = t.bundle()?.set("/linux/resources/cpu", cpu);
    let bundle = bundle.set("/linux/resources/memory/limit", 64 * MIB);
    let bundle = bundle.mount("/mnt", "tmpfs", "tmpfs", &["size=1g"]);
    let fill = "dd if=/dev/zero of=/mnt/x bs=1M count=16 2> /dev/null; echo ready";
    let container = t.start(&bundle.script(&format!("{fill}; while :; do :; done")))?;
    container.wait_for("ready")?;
    Ok(container)
}

fn shows_what_a_container_uses(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    let container = busy(t)?;
    let output = container.command("stats", &["--no-stream"]).succeed()?;
    let table = table(&output);
    check_eq!(table.len(), 2);
    check_eq!(table[0], ["ID", "CPU%", "MEM", "LIMIT", "MEM%", "PIDS", "READ", "WRITTEN"]);
    let row = &table[1];
    check_eq!(row.len(), 8);
    check_eq!((row[0], row[3], row[5]), (container.id(), "64.0MiB", "1"));
    let processor: f64 = row[1].parse()?;
    check!((2.0..30.0).contains(&processor), "{output}");
    let memory: f64 = row[2].trim_end_matches("MiB").parse()?;
    check!((16.0..24.0).contains(&memory), "{output}");
    let share: f64 = row[4].parse()?;
    check!((share - memory / 0.64).abs() < 0.2, "{output}");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn shows_all_that_run(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    let stats = || t.command().arg("stats").args(ONCE).succeed();
    check_eq!(table(&stats()?).len(), 1);
    let running = [t.start(&t.bundle()?.idle())?, t.start(&t.bundle()?.idle())?];
    let paused = t.start(&t.bundle()?.idle())?;
    paused.command("pause", &[]).succeed()?;
    let ended = t.start(&t.bundle()?)?;
    ended.wait_until_stopped()?;
    let output = stats()?;
    let mut ids = [running[0].id(), running[1].id(), paused.id()];
    ids.sort_unstable();
    let seen: Vec<_> = table(&output)[1..].iter().map(|row| row[0]).collect();
    check_eq!(seen, ids);
    // Named ones, in this order and once each.
    let named = [ids[2], ids[0], ids[2]];
    let output = t.command().arg("stats").args(named).args(ONCE).succeed()?;
    let seen: Vec<_> = table(&output)[1..].iter().map(|row| row[0]).collect();
    check_eq!(seen, [ids[2], ids[0]]);
    for container in running.iter().chain([&paused, &ended]) {
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn prints_line_after_line_until_the_end(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    let container = busy(t)?;
    let stats = container.command("stats", &["--interval", "50ms"]).spawn()?;
    eventually("lines", || Ok((stats.stdout()?.lines().count() >= 4).then_some(())))?;
    check!(stats.runs()?, "it ended");
    container.delete_forcibly()?;
    let output = stats.wait()?.expect(0)?;
    check!(!output.stdout.contains('\x1b'), "{:?}", output.stdout);
    let table = table(&output);
    check!(table[1..].iter().all(|row| row.len() == 8 && row[0] == container.id()), "{output}");
    check!(table[1..].iter().all(|row| row[1].parse::<f64>().is_ok()), "{output}");
    Ok(Passed)
}

fn ends_when_a_signal_comes(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let stats = t.command().args(["stats", "--interval", "20ms"]).spawn()?;
        eventually("the heading", || Ok(stats.stdout()?.contains("CPU%").then_some(())))?;
        stats.signal(signal)?;
        stats.wait()?.expect(code)?;
    }
    Ok(Passed)
}

fn renews_the_table_on_a_terminal(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    let container = busy(t)?;
    let command = t.command().args(["stats", "--interval", "100ms"]);
    let mut session = TerminalSession::start(command, 24, 100)?;
    // The first table comes at once, and has no rate yet.
    let first = session.wait_for("\x1b[J")?;
    check_has!(first, "\x1b[?25l", "WRITTEN", container.id(), " - ");
    let second = session.wait_for("\x1b[J")?;
    check!(second.trim_start().starts_with("\x1b[2FID"), "{second:?}");
    check_has!(second, container.id(), "64.0MiB");
    check!(!second.contains(" - "), "{second:?}");
    let other = t.start(&t.bundle()?.idle())?;
    session.wait_for(other.id())?;
    other.delete_forcibly()?;
    session.wait_for("\x1b[3F")?;
    session.wait_for("\x1b[2F")?;
    session.send("\x03")?;
    let (output, rest) = session.finish()?;
    output.expect(130)?;
    check_has!(rest, "\x1b[?25h");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn fits_into_the_window(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    let containers = [(); 3].map(|()| t.start(&t.bundle()?.idle()));
    let command = t.command().args(["stats", "--interval", "50ms"]);
    let mut session = TerminalSession::start(command, 3, 40)?;
    session.wait_for("\x1b[J")?;
    let table = session.wait_for("\x1b[J")?;
    let lines: Vec<_> = table.trim_end_matches("\x1b[J").lines().collect();
    check_eq!(lines.len(), 2);
    for line in lines {
        let shown = line.trim_start_matches("\x1b[2F").trim_end_matches("\x1b[K");
        check!(shown.len() <= 40, "{shown:?}");
    }
    session.resize(24, 200)?;
    session.wait_for("WRITTEN")?;
    session.send("\x03")?;
    session.finish()?.0.expect(130)?;
    containers.into_iter().try_for_each(|it| it?.delete_forcibly().map(drop))?;
    Ok(Passed)
}

fn refuses_what_has_ended(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    let ended = t.start(&t.bundle()?)?;
    ended.wait_until_stopped()?;
    let running = t.start(&t.bundle()?.idle())?;
    let stats = |args: &[&str]| t.command().arg("stats").args(args).run();
    for flags in [&[][..], &["--no-stream"]] {
        let output = stats(&[flags, &[running.id(), ended.id()]].concat())?;
        output.refused(&["cannot measure", ended.id(), "stopped"])?;
    }
    stats(&["nobody"])?.refused(&["does not exist"])?;
    stats(&["a/b"])?.refused(&["a/b"])?;
    stats(&["--interval", "0"])?.refused(&["--interval"])?;
    stats(&["--no-streams"])?.refused(&["--no-stream"])?;
    ended.delete()?;
    running.delete_forcibly()?;
    Ok(Passed)
}

/// A user without a cgroup has containers all the same.
fn shows_what_cannot_be_measured(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is ours alone");
    let container = rootless::create(t, &rootless::bundle(t)?.idle())?;
    let output = t.as_user(t.command().arg("stats").args(ONCE)).succeed()?;
    let table = table(&output);
    check_eq!(table.len(), 2);
    check_eq!((table[1][0], table[1].len()), (container.id(), 8));
    if table[1][2] == "-" {
        container.command("stats", &ONCE).run()?.refused(&["cgroup", "delegated"])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
