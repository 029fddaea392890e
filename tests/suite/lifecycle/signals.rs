//! `kill`.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check_eq, tests};

pub const TESTS: &[Test] = tests![
    sends_sigterm_if_none_is_named,
    knows_signals_by_name_and_number,
    refuses_what_is_no_signal,
    kills_a_created_container,
    says_when_the_container_has_ended,
    reaches_a_frozen_container,
    kills_all_that_share_a_foreign_pid_namespace,
    kills_what_the_first_process_left_behind,
];

fn sends_sigterm_if_none_is_named(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    container.wait_for("ready")?;
    container.command("kill", &[]).succeed()?;
    container.finish()?;
    Ok(Passed)
}

fn knows_signals_by_name_and_number(t: &mut Context) -> Result<Verdict> {
    let traps = "for s in USR1 USR2 WINCH HUP; do trap \"echo got $s\" $s; done";
    let script = format!("{traps}; trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done");
    let container = t.start(&t.bundle()?.script(&script))?;
    container.wait_for("ready")?;
    let all = [("SIGUSR1", "USR1"), ("USR2", "USR2"), ("winch", "WINCH"), ("1", "HUP")];
    for (given, got) in all {
        container.kill(given)?;
        container.wait_for(&format!("got {got}"))?;
    }
    container.kill("15")?;
    container.finish()?;
    Ok(Passed)
}

fn refuses_what_is_no_signal(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?)?;
    for wrong in ["NOSUCH", "-1", "65", "SIG", ""] {
        let output = container.command("kill", &[]).args(["--", wrong]).run()?;
        output.refused(&["signal"])?;
    }
    check_eq!(container.status()?, "created");
    container.delete()?;
    Ok(Passed)
}

fn kills_a_created_container(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.script("echo executed"))?;
    container.kill("KILL")?;
    check_eq!(container.finish()?, "");
    Ok(Passed)
}

fn says_when_the_container_has_ended(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?)?;
    container.wait_until_stopped()?;
    // What containerd and CRI-O look for.
    container.command("kill", &[]).arg("KILL").run()?.refused(&["container not running"])?;
    container.command("kill", &["--all"]).arg("KILL").succeed()?;
    container.delete()?;
    Ok(Passed)
}

fn reaches_a_frozen_container(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    container.wait_for("ready")?;
    t.freeze(container.pid()?)?;
    check_eq!(container.status()?, "paused");
    container.command("start", &[]).run()?.refused(&["paused"])?;
    container.kill("KILL")?;
    container.finish()?;
    Ok(Passed)
}

fn kills_all_that_share_a_foreign_pid_namespace(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.without_namespace("pid");
    let container = t.start(&bundle.script("sleep 1000 & sleep 1000 & echo ready; wait"))?;
    container.wait_for("ready")?;
    container.kill("KILL")?;
    container.finish()?;
    Ok(Passed)
}

fn kills_what_the_first_process_left_behind(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.without_namespace("pid");
    let container = t.start(&bundle.script("sleep 1000 & exit"))?;
    container.wait_until_stopped()?;
    container.command("kill", &["--all"]).arg("KILL").succeed()?;
    container.delete()?;
    Ok(Passed)
}
