//! Changing the limits of containers that are there.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Container, Context, Result, Suite, Test, Verdict, check_eq, need, tests};
use serde_json::json;

pub fn add_to(suite: Suite) -> Suite {
    suite.group("update", TESTS)
}

const TESTS: &[Test] = tests![
    changes_memory,
    takes_sizes_as_people_write_them,
    keeps_the_quota_when_the_period_changes,
    changes_processes_and_shares,
    reads_a_document,
    lets_flags_go_before_the_document,
    changes_a_created_and_a_paused_container,
    takes_everything_back_if_one_is_refused,
    leaves_devices_alone,
    refuses_what_makes_no_sense,
    refuses_containers_without_limits,
];

/// The value of a limit, in whichever version this host has it.
fn limit(t: &Context, container: &Container, controller: &str, files: [&str; 2]) -> Result<String> {
    Ok(t.host().limit_of(container.pid()?, controller, files)?.trim().to_owned())
}

const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const PIDS: [&str; 2] = ["pids.max", "pids.max"];

fn update(container: &Container, flags: &[&str]) -> Result<()> {
    container.command("update", flags).succeed().map(drop)
}

fn idle(t: &Context) -> Result<Container> {
    t.start(&t.bundle()?.idle())
}

fn changes_memory(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    update(&container, &["--memory", "33554432"])?;
    check_eq!(limit(t, &container, "memory", MEMORY)?, "33554432");
    update(&container, &["--memory", "67108864"])?;
    check_eq!(limit(t, &container, "memory", MEMORY)?, "67108864");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn takes_sizes_as_people_write_them(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    update(&container, &["--memory", "64M"])?;
    check_eq!(limit(t, &container, "memory", MEMORY)?, "67108864");
    update(&container, &["--memory=-1"])?;
    let unlimited = if t.host().is_v1("memory") { "9223372036854771712" } else { "max" };
    check_eq!(limit(t, &container, "memory", MEMORY)?, unlimited);
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Quota and period.
fn bandwidth(t: &Context, container: &Container) -> Result<String> {
    if t.host().is_v1("cpu") {
        let read = |file| limit(t, container, "cpu", [file, file]);
        return Ok(format!("{} {}", read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?));
    }
    limit(t, container, "cpu", ["", "cpu.max"])
}

fn keeps_the_quota_when_the_period_changes(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    update(&container, &["--cpu-quota", "20000", "--cpu-period", "50000"])?;
    check_eq!(bandwidth(t, &container)?, "20000 50000");
    update(&container, &["--cpu-period", "40000"])?;
    check_eq!(bandwidth(t, &container)?, "20000 40000");
    update(&container, &["--cpu-quota", "10000"])?;
    check_eq!(bandwidth(t, &container)?, "10000 40000");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn changes_processes_and_shares(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    update(&container, &["--pids-limit", "17", "--cpu-share", "2000"])?;
    check_eq!(limit(t, &container, "pids", PIDS)?, "17");
    let shares = if t.host().is_v1("cpu") { "2000" } else { "170" };
    check_eq!(limit(t, &container, "cpu", ["cpu.shares", "cpu.weight"])?, shares);
    update(&container, &["--pids-limit=-1"])?;
    check_eq!(limit(t, &container, "pids", PIDS)?, "max");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn reads_a_document(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let document = json!({"memory": {"limit": 50_331_648}, "pids": {"limit": 9}}).to_string();
    container.command("update", &["--resources", "-"]).input(&document)?.succeed()?;
    check_eq!(limit(t, &container, "memory", MEMORY)?, "50331648");
    check_eq!(limit(t, &container, "pids", PIDS)?, "9");
    fs::write(t.path("limits.json"), json!({"pids": {"limit": 8}}).to_string())?;
    update(&container, &["-r", &t.path("limits.json").to_string_lossy()])?;
    check_eq!(limit(t, &container, "pids", PIDS)?, "8");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn lets_flags_go_before_the_document(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others ignore flags then");
    let container = idle(t)?;
    let document = json!({"pids": {"limit": 9}}).to_string();
    let command = container.command("update", &["-r", "-", "--pids-limit", "7"]);
    command.input(&document)?.succeed()?;
    check_eq!(limit(t, &container, "pids", PIDS)?, "7");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn changes_a_created_and_a_paused_container(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.idle())?;
    update(&container, &["--pids-limit", "21"])?;
    check_eq!(limit(t, &container, "pids", PIDS)?, "21");
    container.start()?;
    container.command("pause", &[]).succeed()?;
    update(&container, &["--pids-limit", "22"])?;
    check_eq!(limit(t, &container, "pids", PIDS)?, "22");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn takes_everything_back_if_one_is_refused(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others leave what they have set");
    let container = idle(t)?;
    update(&container, &["--memory", "64M", "--pids-limit", "30", "--cpu-quota", "20000"])?;
    let before = (
        limit(t, &container, "memory", MEMORY)?,
        limit(t, &container, "pids", PIDS)?,
        bandwidth(t, &container)?,
    );
    // No host has this processor.
    let flags = ["--memory", "32M", "--pids-limit", "5", "--cpu-quota", "5000"];
    let command = container.command("update", &flags).arg("--cpuset-cpus").arg("4000");
    command.run()?.refused(&["cpuset.cpus"])?;
    let after = (
        limit(t, &container, "memory", MEMORY)?,
        limit(t, &container, "pids", PIDS)?,
        bandwidth(t, &container)?,
    );
    check_eq!(after, before);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn leaves_devices_alone(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    let container = t.start(&bundle)?;
    container.wait_for("ready")?;
    let document =
        json!({"devices": [{"allow": false, "access": "rwm"}], "pids": {"limit": 40}}).to_string();
    let output = container.command("update", &["-r", "-"]).input(&document)?.succeed()?;
    if t.is_coracle() {
        output.says(&["devices"])?;
    }
    t.command().args(["exec", container.id(), "sh", "-c", "echo > /dev/null"]).succeed()?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_what_makes_no_sense(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other messages");
    let container = idle(t)?;
    let refused = |flags: &[&str], words: &[&str]| -> Result<()> {
        container.command("update", flags).run()?.refused(words).map(drop)
    };
    refused(&["--memory", "12Q"], &["--memory", "12Q"])?;
    refused(&["--cpu-share", "many"], &["--cpu-share"])?;
    refused(&["--blkio-weight", "5"], &["block I/O weight"])?;
    refused(&["-r", "/no/such/file"], &["/no/such/file"])?;
    refused(&["--memry", "1"], &["memory"])?;
    let command = container.command("update", &["-r", "-"]).input(r#"{"pids": {"limit": "x"}}"#)?;
    command.run()?.refused(&["/linux/resources/pids/limit"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_containers_without_limits(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.script("exit 0"))?;
    container.wait_until_stopped()?;
    container.command("update", &["--pids-limit", "5"]).run()?.expect(1)?;
    container.delete()?;
    t.command().args(["update", "--pids-limit", "5", "nobody"]).run()?.expect(1)?;
    Ok(Passed)
}
