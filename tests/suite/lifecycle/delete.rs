//! `delete`.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, check_has, need, tests};

pub const TESTS: &[Test] = tests![
    deletes_a_created_container,
    refuses_a_running_container,
    forces_a_running_container,
    forces_a_stopped_container,
    forces_a_frozen_container,
    removes_what_the_container_made_in_its_cgroup,
    ends_survivors_in_a_shared_pid_namespace,
    cleans_up_in_spite_of_a_damaged_record,
    forgets_an_interrupted_creation,
    is_not_fooled_by_a_reused_pid,
    two_at_once_do_no_harm,
    takes_all_whose_ids_match,
];

fn deletes_a_created_container(t: &mut Context) -> Result<Verdict> {
    t.create(&t.bundle()?)?.delete()?;
    t.create(&t.bundle()?)?.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_a_running_container(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    container.command("delete", &[]).run()?.refused(&["running", "--force"])?;
    check_eq!(container.status()?, "running");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn forces_a_running_container(t: &mut Context) -> Result<Verdict> {
    // Nothing that it does about signals helps it.
    let container = t.start(&t.bundle()?.script("trap '' TERM INT HUP; sleep 1000"))?;
    container.delete_forcibly()?;
    container.command("state", &[]).run()?.refused(&["does not exist"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn forces_a_stopped_container(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?)?;
    container.wait_until_stopped()?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn forces_a_frozen_container(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.script("sleep 1000 & sleep 1000"))?;
    t.freeze(container.pid()?)?;
    container.command("delete", &[]).run()?.refused(&["paused"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn removes_what_the_container_made_in_its_cgroup(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    let cgroup = t.host().cgroup_of(container.pid()?, "pids")?;
    fs::create_dir_all(cgroup.join("a/b/c"))?;
    fs::create_dir_all(cgroup.join("a/d"))?;
    container.delete_forcibly()?;
    check!(!cgroup.exists(), "{} is left", cgroup.display());
    Ok(Passed)
}

fn ends_survivors_in_a_shared_pid_namespace(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.without_namespace("pid");
    let bundle = bundle.script("for i in 1 2 3 4 5; do setsid sleep 1000 & done; exit");
    let container = t.start(&bundle)?;
    container.wait_until_stopped()?;
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Nothing may be left of the container but the record, and that must do.
fn cleans_up_in_spite_of_a_damaged_record(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "what is damaged depends on the runtime's own files");
    for contents in ["", "{", "{}", "[1]", "\0\0\0", "{\"id\": 3}"] {
        let container = t.start(&t.bundle()?.idle())?;
        let file = t.store().join(container.id()).join("state.json");
        fs::write(&file, contents)?;
        let list = t.command().arg("list").succeed()?;
        check_has!(list.stderr, container.id(), "damaged");
        for command in ["state", "start", "kill", "delete"] {
            container.command(command, &[]).run()?.refused(&["damaged", "--force"])?;
        }
        container.delete_forcibly()?;
        container.command("state", &[]).run()?.refused(&["does not exist"])?;
    }
    Ok(Passed)
}

fn forgets_an_interrupted_creation(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "what is damaged depends on the runtime's own files");
    fs::create_dir_all(t.store().join("half"))?;
    t.command().args(["state", "half"]).run()?.refused(&["half"])?;
    t.command().args(["delete", "--force", "half"]).succeed()?;
    Ok(Passed)
}

/// A record whose pid is now somebody else's must neither run nor be killed.
fn is_not_fooled_by_a_reused_pid(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the record is the runtime's own");
    let container = t.start(&t.bundle()?)?;
    container.wait_until_stopped()?;
    let bystander = coracle_testkit::Cmd::new("sleep").arg("1000").spawn()?;
    let file = t.store().join(container.id()).join("state.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    record["init_process_pid"] = bystander.pid().into();
    fs::write(&file, record.to_string())?;
    check_eq!(container.status()?, "stopped");
    container.delete_forcibly()?;
    check!(bystander.runs()?, "the bystander was killed");
    Ok(Passed)
}

fn two_at_once_do_no_harm(t: &mut Context) -> Result<Verdict> {
    for _ in 0..5 {
        let container = t.start(&t.bundle()?.idle())?;
        let delete = || container.command("delete", &["--force"]).spawn();
        let both = [delete()?, delete()?, delete()?];
        for one in both {
            one.wait()?.expect(0)?;
        }
    }
    Ok(Passed)
}

fn takes_all_whose_ids_match(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc has no such flag");
    let containers = [t.start(&t.bundle()?.idle())?, t.start(&t.bundle()?.idle())?];
    let other = t.create(&t.bundle()?)?;
    let [first, second] = &containers;
    let pattern = format!("^({}|{})$", first.id(), second.id());
    let refused = t.command().args(["delete", "--regex", &pattern]).run()?;
    refused.refused(&[first.id(), "running", "--force"])?;
    t.command().args(["kill", "-r", &pattern, "KILL"]).succeed()?;
    for container in &containers {
        container.wait_until_stopped()?;
    }
    t.command().args(["delete", "--regex", &pattern]).succeed()?;
    for container in &containers {
        container.command("state", &[]).run()?.refused(&["does not exist"])?;
    }
    t.command().args(["delete", "--regex", "^nobody$"]).succeed()?;
    t.command().args(["delete", "--regex", "(", "--force"]).run()?.refused(&["regex"])?;
    check_eq!(other.status()?, "created");
    other.delete()?;
    Ok(Passed)
}
