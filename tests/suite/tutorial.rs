//! The walk that tutorials of runc take, with `coracle` in its place: every command as a person types it.

use std::fs;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Cmd, Context, Result, Suite, TerminalSession, Test, Verdict, check, check_eq, check_has,
    eventually, need, tests,
};
use serde_json::{Value, json};

pub fn add_to(suite: Suite) -> Suite {
    suite.group("tutorial", TESTS)
}

const TESTS: &[Test] = tests![walks_through_a_container_s_life];

/// A command line of the tutorial, in the bundle's directory.
fn type_in(t: &Context, line: &str) -> Cmd {
    let command = t.command().directory(t.path("bundle"));
    command.args(line.split_whitespace())
}

/// The state of the container in the list.
fn listed(t: &Context, id: &str) -> Result<String> {
    let output = type_in(t, "list").succeed()?;
    let line = output.stdout.lines().find(|line| line.starts_with(id)).unwrap_or_default();
    Ok(line.split_whitespace().nth(2).unwrap_or_default().to_owned())
}

/// Edits the configuration, as a person does between two containers.
fn edit(t: &Context, change: impl FnOnce(&mut Value)) -> Result<()> {
    let path = t.path("bundle/config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&path)?)?;
    change(&mut spec);
    Ok(fs::write(path, serde_json::to_vec_pretty(&spec)?)?)
}

/// A bundle that umoci unpacks from an image; its configuration is then written by `spec`.
fn unpack(t: &Context) -> Result<()> {
    let umoci = |words: &[&str]| Cmd::new("umoci").args(words).deadline(60).succeed();
    let [image, empty, bundle] = ["image", "empty", "bundle"].map(|name| t.path(name));
    let tagged = format!("{}:latest", image.display());
    umoci(&["init", "--layout", &image.to_string_lossy()])?;
    umoci(&["new", "--image", &tagged])?;
    umoci(&["unpack", "--image", &tagged, &empty.to_string_lossy()])?;
    fs::remove_dir(empty.join("rootfs"))?;
    fs::rename(t.bundle()?.rootfs(), empty.join("rootfs"))?;
    umoci(&["repack", "--image", &tagged, &empty.to_string_lossy()])?;
    umoci(&["unpack", "--image", &tagged, &bundle.to_string_lossy()])?;
    fs::remove_file(bundle.join("config.json"))?;
    type_in(t, "spec").succeed()?;
    Ok(())
}

fn walks_through_a_container_s_life(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("umoci"), "no umoci");
    unpack(t)?;
    let id = t.id();
    let socket = t.path("tty.sock");
    let socket = socket.to_string_lossy();

    // In another terminal.
    let recvtty = type_in(t, &format!("recvtty {socket}"));
    let mut other = TerminalSession::start(recvtty, 30, 90)?;
    eventually("the socket", || Ok(Path::new(&*socket).exists().then_some(())))?;

    type_in(t, &format!("create -b . --console-socket {socket} {id}")).succeed()?;
    check_eq!(listed(t, &id)?, "created");
    let processes = type_in(t, &format!("ps {id}")).succeed()?;
    check_has!(processes.stdout, "PID");

    let mut inside = TerminalSession::start(type_in(t, &format!("exec -t {id} sh")), 25, 80)?;
    inside.send("echo $((6 * 7)) in; tty; exit 4\n")?;
    check_has!(inside.wait_for("/dev/pts/")?, "42 in");
    inside.finish()?.0.expect(4)?;

    type_in(t, &format!("start {id}")).succeed()?;
    check_eq!(listed(t, &id)?, "running");
    other.send("echo $((5 * 5)) shell; stty size\n")?;
    check_has!(other.wait_for("30 90")?, "25 shell");

    type_in(t, &format!("pause {id}")).succeed()?;
    check_eq!(listed(t, &id)?, "paused");
    type_in(t, &format!("resume {id}")).succeed()?;
    check_eq!(listed(t, &id)?, "running");

    other.send("exit\n")?;
    other.finish()?.0.expect(0)?;
    eventually("the end", || Ok((listed(t, &id)? == "stopped").then_some(())))?;
    type_in(t, &format!("delete {id}")).succeed()?;
    check_eq!(listed(t, &id)?, "");

    edit(t, |spec| {
        spec["process"]["args"] = json!(["sh", "-c", "echo edited; hostname"]);
        spec["process"]["terminal"] = json!(false);
        spec["hostname"] = json!("tutorial");
    })?;
    let output = type_in(t, &format!("run {id}")).succeed()?;
    check_eq!(output.lines(), ["edited", "tutorial"]);

    edit(t, |spec| {
        spec["process"]["args"] = json!(["sh", "-c", "readlink /proc/self/ns/pid; echo $$"]);
        if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
            namespaces.retain(|namespace| namespace["type"] != "pid");
        }
    })?;
    let output = type_in(t, &format!("run {id}")).succeed()?;
    let own = fs::read_link("/proc/self/ns/pid")?;
    check_eq!(output.lines()[0], own.to_string_lossy());
    check!(output.lines()[1] != "1", "it is the first process of a pid namespace");
    Ok(Passed)
}
