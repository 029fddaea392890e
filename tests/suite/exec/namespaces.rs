//! The process is in every namespace of the container's first process.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Container, Context, Result, Test, Verdict, check, check_eq, eventually, tests,
};

use super::{field, idle, in_both};
use crate::namespaces::mapped;

pub const TESTS_FOR_ALL: &[Test] = tests![is_in_the_namespaces_of_the_container];

pub const TESTS: &[Test] = tests![
    is_in_new_ones_and_in_the_callers,
    is_in_those_of_a_user_namespace,
    is_in_those_of_a_joined_user_namespace,
    is_in_those_that_a_helper_made,
    has_the_users_of_the_user_namespace,
    is_in_the_namespace_that_the_first_process_chose,
    sees_the_processes_of_the_container,
    has_the_root_of_the_container,
];

const NAMES: [&str; 10] = [
    "pid",
    "pid_for_children",
    "net",
    "ipc",
    "uts",
    "mnt",
    "cgroup",
    "user",
    "time",
    "time_for_children",
];

const KINDS: [&str; 6] = ["pid", "network", "ipc", "uts", "cgroup", "time"];

/// Looks from the host at both.
fn shares_all(t: &Context, container: &Container) -> Result<()> {
    let file = t.path(&format!("pids-{}", container.id()));
    fs::create_dir_all(&file)?;
    t.give_to_user(&file)?;
    let file = file.join("pid");
    let flags = ["--detach", "--pid-file", &file.to_string_lossy()];
    container.exec_with(&flags, &["sleep", "1000"]).succeed()?;
    let pid = fs::read_to_string(&file)?;
    for name in NAMES {
        let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{name}"));
        check_eq!(link(&pid)?, link(&container.pid()?.to_string())?);
    }
    let root = |pid: &str| -> Result<(u64, u64)> {
        let root = fs::metadata(format!("/proc/{pid}/root"))?;
        Ok((root.dev(), root.ino()))
    };
    check_eq!(root(&pid)?, root(&container.pid()?.to_string())?);
    Ok(())
}

fn is_in_the_namespaces_of_the_container(t: &mut Context) -> Result<Verdict> {
    in_both(t, |container| shares_all(t, container))
}

fn is_in_new_ones_and_in_the_callers(t: &mut Context) -> Result<Verdict> {
    let plain = || -> Result<Bundle> { Ok(t.bundle()?.remove("/hostname").idle()) };
    let none = KINDS.iter().fold(plain()?, |bundle, kind| bundle.without_namespace(kind));
    let all = KINDS.iter().fold(plain()?, |bundle, kind| bundle.namespace(kind, None));
    let without = KINDS.map(|kind| all.clone().without_namespace(kind));
    for bundle in [none, all].into_iter().chain(without) {
        let container = t.start(&bundle)?;
        container.wait_for("ready")?;
        shares_all(t, &container)?;
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn is_in_those_of_a_user_namespace(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&mapped(t)?.idle())?;
    container.wait_for("ready")?;
    shares_all(t, &container)?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_in_those_of_a_joined_user_namespace(t: &mut Context) -> Result<Verdict> {
    let neighbour = t.start(&mapped(t)?.idle())?;
    neighbour.wait_for("ready")?;
    let path = |name: &str| neighbour.pid().map(|pid| format!("/proc/{pid}/ns/{name}"));
    let bundle = t.bundle()?.remove("/hostname").namespace("user", Some(&path("user")?));
    let bundle =
        bundle.namespace("network", Some(&path("net")?)).namespace("uts", Some(&path("uts")?));
    chown(bundle.rootfs(), Some(100_000), Some(100_000))?;
    let container = t.start(&bundle.idle())?;
    container.wait_for("ready")?;
    shares_all(t, &container)?;
    container.delete_forcibly()?;
    shares_all(t, &neighbour)?;
    neighbour.delete_forcibly()?;
    Ok(Passed)
}

/// A network namespace that the host's user namespace owns, beside others that the container's owns.
fn is_in_those_that_a_helper_made(t: &mut Context) -> Result<Verdict> {
    let helper = Cmd::new("unshare").args(["--net", "sleep", "1000"]).spawn()?;
    let path = format!("/proc/{}/ns/net", helper.pid());
    eventually("a network namespace", || {
        Ok((fs::read_link(&path)? != fs::read_link("/proc/self/ns/net")?).then_some(()))
    })?;
    let bundle = mapped(t)?.namespace("network", Some(&path));
    // Only who owns the network namespace may mount a sysfs that shows it.
    let mounts = bundle.spec()["mounts"].as_array().cloned().unwrap_or_default();
    let is_below_sys = |mount: &serde_json::Value| {
        mount["destination"].as_str().is_some_and(|target| target.starts_with("/sys"))
    };
    let others: Vec<_> = mounts.into_iter().filter(|mount| !is_below_sys(mount)).collect();
    let bundle = bundle.set("/mounts", others);
    let container = t.start(&bundle.idle())?;
    container.wait_for("ready")?;
    shares_all(t, &container)?;
    container.delete_forcibly()?;
    helper.kill()?;
    Ok(Passed)
}

fn has_the_users_of_the_user_namespace(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&mapped(t)?.writable().idle())?;
    container.wait_for("ready")?;
    let script = "id -u; id -g; cat /proc/self/uid_map; cat /proc/self/setgroups";
    let output = container.script(script)?;
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    check_eq!(words, ["0", "0", "0", "100000", "65536", "allow"]);
    let flags = ["--user", "5:6", "-g", "7"];
    let output = container.exec_with(&flags, &["cat", "/proc/self/status"]).succeed()?;
    check_eq!(field(&output.stdout, "Uid"), "5\t5\t5\t5");
    check_eq!(field(&output.stdout, "Groups"), "6 7");
    container.exec(&["touch", "/made"]).succeed()?;
    let made = fs::metadata(format!("/proc/{}/root/made", container.pid()?))?;
    check_eq!((made.uid(), made.gid()), (100_000, 100_000));
    for flags in [["--user", "70000"], ["--user", "0:70000"], ["--additional-gids", "70000"]] {
        container.exec_with(&flags, &["true"]).run()?.not_executed(&["70000"])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Not in the one that it was created in, if it has left that.
fn is_in_the_namespace_that_the_first_process_chose(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.capabilities(&["CAP_SYS_ADMIN"]);
    let script = "exec unshare --uts sh -c 'hostname moved; echo ready; exec sleep 1000'";
    let container = t.start(&bundle.script(script))?;
    container.wait_for("ready")?;
    shares_all(t, &container)?;
    check_eq!(container.exec(&["hostname"]).succeed()?.text(), "moved");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn sees_the_processes_of_the_container(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let output = container.script("cat /proc/1/comm; echo $PPID; kill -0 1 && echo there")?;
    check_eq!(output.lines(), ["sh", "0", "there"]);
    // The first process does not have its children's ends to see to.
    check!(container.script("echo $$")?.text().parse::<u32>()? > 1);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn has_the_root_of_the_container(t: &mut Context) -> Result<Verdict> {
    for flags in [&[][..], &["--no-pivot"]] {
        let bundle = t.bundle()?.idle();
        fs::write(bundle.rootfs().join("marker"), "here\n")?;
        let container = t.create_with(&bundle, flags)?;
        container.start()?;
        let output = container.script("cat /marker /../marker; cd /; cd ..; cat marker; ls /..")?;
        check_eq!(output.lines()[..3], ["here"; 3]);
        check_eq!(output.lines().len() - 3, fs::read_dir(bundle.rootfs())?.count());
        container.delete_forcibly()?;
    }
    Ok(Passed)
}
