//! `pause` and `resume`.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Container, Context, Result, Test, Verdict, check, check_eq, eventually, need, tests,
};

use crate::rootless;

pub const TESTS: &[Test] = tests![
    stops_and_goes_on,
    pauses_a_created_container,
    stops_what_keeps_forking,
    refuses_what_makes_no_sense,
    ends_while_paused,
    resumes_what_others_froze,
    names_a_frozen_cgroup_above,
    says_why_a_user_cannot_pause,
];

fn pause(container: &Container) -> Result<()> {
    container.command("pause", &[]).succeed()?;
    check_eq!(container.status()?, "paused");
    Ok(())
}

fn resume(container: &Container) -> Result<()> {
    container.command("resume", &[]).succeed()?;
    check!(container.status()? != "paused");
    Ok(())
}

fn stops_and_goes_on(t: &mut Context) -> Result<Verdict> {
    let script = "while :; do echo tick; done";
    for bundle in [t.bundle()?, t.bundle()?.without_namespace("pid")] {
        let container = t.start(&bundle.script(&format!("({script}) & {script}")))?;
        container.wait_for("tick")?;
        for _ in 0..3 {
            pause(&container)?;
            let seen = container.stdout()?.len();
            sleep(Duration::from_millis(50));
            check_eq!(container.stdout()?.len(), seen);
            resume(&container)?;
            check_eq!(container.status()?, "running");
            eventually("ticks", || Ok((container.stdout()?.len() > seen).then_some(())))?;
        }
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn pauses_a_created_container(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.script("echo executed"))?;
    pause(&container)?;
    container.command("start", &[]).run()?.refused(&["paused", "resume"])?;
    container.command("delete", &[]).run()?.refused(&["paused"])?;
    resume(&container)?;
    check_eq!(container.status()?, "created");
    container.start()?;
    check_eq!(container.finish()?, "executed\n");
    Ok(Passed)
}

/// On cgroup v1 a process that was just forked escapes a first order to freeze.
fn stops_what_keeps_forking(t: &mut Context) -> Result<Verdict> {
    let script =
        "while :; do (while :; do (:); done) & (while :; do (sleep 0.001 &); done) & wait; done";
    let bundle = t.bundle()?.set("/linux/resources/pids/limit", 50);
    let container = t.start(&bundle.script(&format!("echo ready; {script} 2> /dev/null")))?;
    container.wait_for("ready")?;
    for _ in 0..20 {
        pause(&container)?;
        resume(&container)?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_what_makes_no_sense(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.idle())?;
    let refuses = |command: &str, status: &str| {
        let output = container.command(command, &[]).run()?;
        output.refused(&[command, container.id(), status, "only"]).map(drop)
    };
    refuses("resume", "created")?;
    container.start()?;
    refuses("resume", "running")?;
    pause(&container)?;
    refuses("pause", "paused")?;
    resume(&container)?;
    container.kill("KILL")?;
    container.wait_until_stopped()?;
    refuses("pause", "stopped")?;
    refuses("resume", "stopped")?;
    container.delete()?;
    for command in ["pause", "resume"] {
        t.command().args([command, "nobody"]).run()?.refused(&["does not exist"])?;
        t.command().arg(command).run()?.refused(&["usage"])?;
    }
    Ok(Passed)
}

fn ends_while_paused(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    pause(&container)?;
    container.kill("KILL")?;
    container.finish()?;
    for bundle in [t.bundle()?.idle(), t.bundle()?.without_namespace("pid").idle()] {
        let container = t.start(&bundle)?;
        pause(&container)?;
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn resumes_what_others_froze(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    t.freeze(container.pid()?)?;
    resume(&container)?;
    // A host with both versions has two freezers, of which others know one.
    let unified = t.host().cgroup_of(container.pid()?, "")?.join("cgroup.freeze");
    if unified.exists() && t.is_coracle() {
        fs::write(unified, "1")?;
        eventually("the other freezer", || Ok((container.status()? == "paused").then_some(())))?;
        resume(&container)?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn names_a_frozen_cgroup_above(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others do not notice");
    let parent = t.id();
    let bundle = t.bundle()?.idle().set("/linux/cgroupsPath", format!("/{parent}/child"));
    let container = t.start(&bundle)?;
    let cgroup = t.host().cgroup_of(container.pid()?, "freezer")?;
    let above = cgroup.parent().unwrap_or(&cgroup);
    let [file, freeze, thaw] = match t.host().is_v1("freezer") {
        true => ["freezer.state", "FROZEN", "THAWED"],
        false => ["cgroup.freeze", "1", "0"],
    };
    fs::write(above.join(file), freeze)?;
    eventually("the freezer", || Ok((container.status()? == "paused").then_some(())))?;
    let resumed = container.command("resume", &[]).run()?;
    // First of all: a frozen cgroup would outlive a test that fails.
    fs::write(above.join(file), thaw)?;
    resumed.refused(&["cgroup above", "thaw"])?;
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    // It may be others' too, and stays.
    for hierarchy in t.host().hierarchies() {
        fs::remove_dir(hierarchy.join(&parent))?;
    }
    Ok(Passed)
}

fn says_why_a_user_cannot_pause(t: &mut Context) -> Result<Verdict> {
    let container = rootless::create(t, &rootless::bundle(t)?.idle())?;
    container.command("pause", &[]).run()?.refused(&["cgroup", "delegated"])?;
    container.command("resume", &[]).run()?.refused(&["created"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}
