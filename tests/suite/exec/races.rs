//! `exec` and everything else at once, and the command killed at any moment.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Container, Context, Output, Result, Test, Verdict, check, check_eq, eventually, rounds, scaled,
    tests,
};

use super::idle;

pub const TESTS: &[Test] = tests![
    many_short_lives_end_with_the_right_code,
    ends_when_the_container_is_deleted,
    ends_when_the_container_ends,
    leaves_nothing_when_it_is_killed,
    leaves_nothing_when_it_is_killed_in_a_shared_pid_namespace,
    leaves_nothing_when_it_is_killed_while_it_waits,
    many_in_a_container_that_is_created_and_started,
    does_no_harm_while_the_container_is_paused_and_resumed,
];

const SHORT_LIVES: u32 = 500;
const DELETIONS: u32 = 200;
const ENDS: u32 = 60;
const DEATHS: u32 = 60;

/// Moments from 0 to `longest` milliseconds (scaled), spread evenly but in no order.
fn moments(count: u32, longest: u32) -> impl Iterator<Item = Duration> {
    let longest = scaled(1) * longest / 1000;
    (0..count).map(move |round| longest * (round * 17 % count) / count)
}

fn many_short_lives_end_with_the_right_code(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let codes: Vec<u32> = (0..rounds(SHORT_LIVES)).map(|round| round % 255).collect();
    for eight in codes.chunks(8) {
        let running = eight.iter().map(|code| {
            let exec = container.exec(&["sh", "-c", &format!("echo {code}; exit {code}")]);
            exec.spawn().map(|running| (code, running))
        });
        for (code, running) in running.collect::<Result<Vec<_>>>()? {
            let output = running.wait()?.expect(i32::try_from(*code)?)?;
            check_eq!(output.text(), code.to_string());
        }
    }
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Executed and ended in time, killed with all others, or too late; and never anything odd.
fn ended_well(output: &Output) -> Result<()> {
    check!([0, 137, 255].contains(&output.code()), "{output}");
    check!(output.code() != 255 || !output.stderr.is_empty(), "{output}");
    check!(!output.stderr.contains("panicked"), "{output}");
    Ok(())
}

const PROGRAMS: [&[&str]; 3] = [&["true"], &["sleep", "1000"], &["sh", "-c", "sleep 1000 & wait"]];

fn ends_when_the_container_is_deleted(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.args(&["sleep", "1000"]);
    let bundles = [bundle.clone(), bundle.without_namespace("pid")];
    for (round, moment) in moments(rounds(DELETIONS), 12).enumerate() {
        let container = t.start(&bundles[round % 2])?;
        let running = container.exec(PROGRAMS[round % 3]).deadline(5).spawn()?;
        sleep(moment);
        container.delete_forcibly()?;
        ended_well(&running.wait()?)?;
        container.command("state", &[]).run()?.refused(&["does not exist"])?;
    }
    Ok(Passed)
}

fn ends_when_the_container_ends(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    for (round, moment) in moments(rounds(ENDS), 12).enumerate() {
        let container = t.start(&bundle)?;
        container.wait_for("ready")?;
        let running = container.exec(PROGRAMS[round % 3]).deadline(5).spawn()?;
        sleep(moment);
        container.kill("KILL")?;
        ended_well(&running.wait()?)?;
        container.finish()?;
    }
    Ok(Passed)
}

/// All processes in its cgroup.
fn processes(t: &Context, container: &Container) -> Result<usize> {
    let file = t.host().cgroup_of(container.pid()?, "pids")?.join("cgroup.procs");
    Ok(fs::read_to_string(file)?.lines().count())
}

/// The audit sees what stays on the host.
fn is_killed(t: &Context, container: &Container, program: &[&str]) -> Result<()> {
    for moment in moments(rounds(DEATHS), 10) {
        let running = container.exec(program).spawn()?;
        sleep(moment);
        running.kill()?;
    }
    if program == ["true"] {
        eventually("the end of all processes but one", || {
            Ok((processes(t, container)? == 1).then_some(()))
        })?;
    }
    // Nothing is in the way of the next.
    container.exec(&["sh", "-c", "exit 5"]).run()?.expect(5)?;
    check_eq!(container.status()?, "running");
    Ok(())
}

fn leaves_nothing_when_it_is_killed(t: &mut Context) -> Result<Verdict> {
    for program in [&["true"][..], &["sleep", "1000"]] {
        let container = t.start(&t.bundle()?.args(&["sleep", "1000"]))?;
        is_killed(t, &container, program)?;
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn leaves_nothing_when_it_is_killed_in_a_shared_pid_namespace(t: &mut Context) -> Result<Verdict> {
    for program in [&["true"][..], &["sleep", "1000"]] {
        let bundle = t.bundle()?.without_namespace("pid").args(&["sleep", "1000"]);
        let container = t.start(&bundle)?;
        is_killed(t, &container, program)?;
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn leaves_nothing_when_it_is_killed_while_it_waits(t: &mut Context) -> Result<Verdict> {
    for bundle in [t.bundle()?, t.bundle()?.without_namespace("pid")] {
        let container = t.start(&bundle.args(&["sleep", "1000"]))?;
        container.command("pause", &[]).succeed()?;
        for moment in moments(20, 30) {
            let exec = container.exec_with(&["--ignore-paused"], &["true"]).spawn()?;
            sleep(moment);
            exec.kill()?;
        }
        container.command("resume", &[]).succeed()?;
        eventually("the end of all processes but one", || {
            Ok((processes(t, &container)? == 1).then_some(()))
        })?;
        container.exec(&["true"]).succeed()?;
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn many_in_a_container_that_is_created_and_started(t: &mut Context) -> Result<Verdict> {
    for _ in 0..20 {
        let container = t.create(&t.bundle()?.args(&["sleep", "1000"]))?;
        let exec = || container.exec(&["sh", "-c", "exit 4"]).spawn();
        let running = [exec()?, exec()?, exec()?];
        container.start()?;
        let more = [exec()?, exec()?, exec()?];
        for one in running.into_iter().chain(more) {
            one.wait()?.expect(4)?;
        }
        check_eq!(container.status()?, "running");
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn does_no_harm_while_the_container_is_paused_and_resumed(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    for moment in moments(40, 12) {
        let running = container.exec(&["sh", "-c", "exit 4"]).spawn()?;
        sleep(moment);
        container.command("pause", &[]).succeed()?;
        sleep(moment / 4);
        container.command("resume", &[]).succeed()?;
        let output = running.wait()?;
        check!([4, 255].contains(&output.code()), "{output}");
        if output.code() == 255 && t.is_coracle() {
            output.says(&["paused"])?;
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
