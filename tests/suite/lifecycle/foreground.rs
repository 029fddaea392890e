//! `run`.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, eventually, tests};
use rustix::process::Signal;

pub const TESTS: &[Test] = tests![
    prints_what_the_command_prints,
    exits_as_the_command_exits,
    exits_with_128_and_the_signal_that_kills_the_command,
    exits_with_137_when_somebody_kills_the_container,
    passes_on_signals,
    deletes_the_container_in_the_end,
    keeps_the_container_if_asked,
    detaches_if_asked,
    ends_what_the_first_process_leaves_in_a_shared_pid_namespace,
    adopts_orphans_and_outlives_them,
    takes_another_configuration,
    works_without_pivot_root,
];

fn prints_what_the_command_prints(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("echo out; echo err >&2");
    let output = t.run(&bundle)?.expect(0)?;
    check_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    Ok(Passed)
}

fn exits_as_the_command_exits(t: &mut Context) -> Result<Verdict> {
    for code in [0, 1, 7, 126, 127, 128, 255] {
        let bundle = t.bundle()?.script(&format!("exit {code}"));
        t.run(&bundle)?.expect(code)?;
    }
    Ok(Passed)
}

fn exits_with_128_and_the_signal_that_kills_the_command(t: &mut Context) -> Result<Verdict> {
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("HUP", 129)] {
        // The first process of a pid namespace cannot kill itself.
        let bundle = t.bundle()?.without_namespace("pid").script(&format!("kill -{signal} $$"));
        t.run(&bundle)?.expect(code)?;
    }
    Ok(Passed)
}

fn exits_with_137_when_somebody_kills_the_container(t: &mut Context) -> Result<Verdict> {
    let (command, id) = t.run_as(&t.bundle()?.idle(), &[])?;
    let running = command.spawn()?;
    eventually("a running container", || Ok(running.stdout()?.contains("ready").then_some(())))?;
    t.command().args(["kill", &id, "KILL"]).succeed()?;
    running.wait()?.expect(137)?;
    Ok(Passed)
}

fn passes_on_signals(t: &mut Context) -> Result<Verdict> {
    let script = "trap 'echo got TERM; exit 9' TERM; trap 'echo got USR1' USR1
        echo ready; while :; do sleep 0.02; done";
    let running = t.run_with(&t.bundle()?.script(script), &[])?.spawn()?;
    let sees = |text: &str| eventually(text, || Ok(running.stdout()?.contains(text).then_some(())));
    sees("ready")?;
    running.signal(Signal::USR1)?;
    sees("got USR1")?;
    running.signal(Signal::TERM)?;
    let output = running.wait()?.expect(9)?;
    check_eq!(output.lines(), ["ready", "got USR1", "got TERM"]);
    Ok(Passed)
}

fn deletes_the_container_in_the_end(t: &mut Context) -> Result<Verdict> {
    let (command, id) = t.run_as(&t.bundle()?, &[])?;
    command.succeed()?;
    check_eq!(t.command().args(["list", "--quiet"]).succeed()?.stdout, "");
    t.command().args(["state", &id]).run()?.refused(&["does not exist"])?;
    Ok(Passed)
}

fn keeps_the_container_if_asked(t: &mut Context) -> Result<Verdict> {
    let (command, id) = t.run_as(&t.bundle()?.script("exit 4"), &["--keep"])?;
    command.run()?.expect(4)?;
    let state = t.command().args(["state", &id]).succeed()?.json()?;
    check_eq!((&state["status"], &state["pid"]), (&"stopped".into(), &0.into()));
    t.command().args(["start", &id]).run()?.refused(&["stopped"])?;
    t.command().args(["delete", &id]).succeed()?;
    Ok(Passed)
}

fn detaches_if_asked(t: &mut Context) -> Result<Verdict> {
    let (command, id) = t.run_as(&t.bundle()?.idle(), &["--detach"])?;
    let started = command.succeed()?;
    eventually("output", || Ok(started.stdout_now()?.contains("ready").then_some(())))?;
    let state = t.command().args(["state", &id]).succeed()?.json()?;
    check_eq!(state["status"], "running");
    t.command().args(["delete", "--force", &id]).succeed()?;
    Ok(Passed)
}

/// The audit sees whether the sleeper has gone.
fn ends_what_the_first_process_leaves_in_a_shared_pid_namespace(
    t: &mut Context,
) -> Result<Verdict> {
    let bundle = t.bundle()?.without_namespace("pid").script("sleep 1000 & exit 3");
    t.run(&bundle)?.expect(3)?;
    Ok(Passed)
}

fn adopts_orphans_and_outlives_them(t: &mut Context) -> Result<Verdict> {
    let script = "sh -c 'sleep 0.05 & :'; sh -c 'sleep 1000 & :'; sleep 0.2; exit 5";
    for flags in [&[][..], &["--no-subreaper"]] {
        let bundle = t.bundle()?.without_namespace("pid").script(script);
        t.run_with(&bundle, flags)?.run()?.expect(5)?;
    }
    Ok(Passed)
}

fn takes_another_configuration(t: &mut Context) -> Result<Verdict> {
    if !t.is_coracle() {
        return Ok(Verdict::Skipped("not every runtime has --config".into()));
    }
    let bundle = t.bundle()?.args(&["echo", "other"]);
    bundle.write()?;
    let other = t.path("other.json");
    std::fs::rename(bundle.directory().join("config.json"), &other)?;
    let command = t.command().arg("run").arg("--bundle").arg(bundle.directory());
    let output = command.arg("--config").arg(&other).arg(t.id()).succeed()?;
    check_eq!(output.text(), "other");
    check!(!bundle.directory().join("config.json").exists());
    Ok(Passed)
}

fn works_without_pivot_root(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("cat /marker; pwd; ls -d /..; ls / | wc -l");
    std::fs::write(bundle.rootfs().join("marker"), "here\n")?;
    let output = t.run_with(&bundle, &["--no-pivot"])?.succeed()?;
    check_eq!(output.lines()[..3], ["here", "/", "/.."]);
    let entries = std::fs::read_dir(bundle.rootfs())?.count();
    check_eq!(output.lines()[3].trim(), entries.to_string());
    Ok(Passed)
}
