//! `mounts add` and `mounts remove`.

use std::fs;
use std::os::unix::fs::chown;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Container, Context, Output, Result, Test, Verdict, check, check_eq, host_mounts,
    need, tests,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};

use crate::crash::{kill_after, moments};
use crate::rootless;

pub const TESTS: &[Test] = tests![
    mounts_come_and_go,
    all_are_mounted_or_none,
    what_create_mounted_stays,
    a_user_namespace_gets_mounts,
    a_user_without_privileges_adds_mounts,
    places_are_inside_the_container,
    refuses_what_cannot_be_added,
    a_killed_command_leaves_all_or_nothing,
];

macro_rules! need_mounts {
    ($t:ident) => {
        need!($t.is_coracle() && $t.host().is_root(), "only root has mounts to lend, by coracle");
        if !$t.host().kernel_is(5, 12) {
            return an_old_kernel_cannot($t);
        }
    };
}

/// Before Linux 5.12 what is mounted would have to be changed by the container's procfs.
fn an_old_kernel_cannot(t: &Context) -> Result<Verdict> {
    let container = t.start(&idle(t)?)?;
    add(t, &container, &two(t)?)?.refused(&["mount_setattr", "5.12"])?;
    check_eq!(lines_of(&container, "/extra")?, 0);
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Gives a list of mounts to `mounts add` or `mounts remove`.
fn change(t: &Context, action: &str, id: &str, mounts: &Value) -> Result<Cmd> {
    let command = t.command().args(["mounts", action, id, "-"]);
    command.input(&mounts.to_string())
}

fn add(t: &Context, container: &Container, mounts: &Value) -> Result<Output> {
    change(t, "add", container.id(), mounts)?.run()
}

fn remove(t: &Context, container: &Container, mounts: &Value) -> Result<Output> {
    change(t, "remove", container.id(), mounts)?.run()
}

/// A directory of the host with a file in it, read-only on `/extra`, and a tmpfs on `/scratch`.
fn two(t: &Context) -> Result<Value> {
    let source = t.path("shared");
    fs::create_dir_all(&source)?;
    fs::write(source.join("hello"), "from the host\n")?;
    Ok(json!([
        {"destination": "/extra", "source": source, "options": ["bind", "ro", "nosuid"]},
        {"destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]},
    ]))
}

fn idle(t: &Context) -> Result<Bundle> {
    Ok(t.bundle()?.writable().idle())
}

fn lines_of(container: &Container, path: &str) -> Result<usize> {
    let mountinfo = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid()?))?;
    Ok(mountinfo.lines().filter(|line| line.split(' ').nth(4) == Some(path)).count())
}

fn mounts_come_and_go(t: &mut Context) -> Result<Verdict> {
    need_mounts!(t);
    let container = t.create(&idle(t)?)?;
    let mounts = two(t)?;
    for state in ["created", "running", "paused"] {
        match state {
            "running" => drop(container.start()?),
            "paused" => drop(container.command("pause", &[]).succeed()?),
            _ => {}
        }
        add(t, &container, &mounts)?.expect(0)?;
        check_eq!(container.status()?, state);
        check_eq!((lines_of(&container, "/extra")?, lines_of(&container, "/scratch")?), (1, 1));
        if state != "paused" {
            let script = "cat /extra/hello; ! touch /extra/x 2>&- && touch /scratch/x && echo ok";
            check_eq!(container.script(script)?.lines(), ["from the host", "ok"]);
        }
        remove(t, &container, &mounts)?.expect(0)?;
        check_eq!((lines_of(&container, "/extra")?, lines_of(&container, "/scratch")?), (0, 0));
    }
    // What is mounted goes with the container.
    add(t, &container, &mounts)?.expect(0)?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn all_are_mounted_or_none(t: &mut Context) -> Result<Verdict> {
    need_mounts!(t);
    let container = t.start(&idle(t)?)?;
    let mounts = two(t)?;
    for last in [
        json!({"destination": "/", "type": "tmpfs", "source": "tmpfs"}),
        json!({"destination": "/late", "type": "tmpfs", "options": ["size=nonsense"]}),
        json!({"destination": "/late", "source": "/nowhere", "options": ["bind"]}),
    ] {
        add(t, &container, &json!([mounts[0], mounts[1], last]))?.refused(&["/mounts/2"])?;
        check_eq!((lines_of(&container, "/extra")?, lines_of(&container, "/scratch")?), (0, 0));
    }
    add(t, &container, &mounts)?.expect(0)?;
    let nowhere = json!({"destination": "/nowhere", "type": "tmpfs"});
    let refused = remove(t, &container, &json!([mounts[0], mounts[1], nowhere]))?;
    refused.refused(&["/mounts/2", "/nowhere"])?;
    check_eq!((lines_of(&container, "/extra")?, lines_of(&container, "/scratch")?), (1, 1));
    container.delete_forcibly()?;
    Ok(Passed)
}

fn what_create_mounted_stays(t: &mut Context) -> Result<Verdict> {
    need_mounts!(t);
    let container = t.start(&idle(t)?.mount("/data", "tmpfs", "tmpfs", &[]))?;
    for path in
        ["/", "/proc", "/sys", "/dev", "/dev/pts", "/data", "/proc/kcore", "/proc/sys", "/bin"]
    {
        remove(t, &container, &json!([{"destination": path, "type": "tmpfs"}]))?
            .refused(&["/mounts/0", path])?;
    }
    // One on top of it goes, and no more.
    let mount = json!([{"destination": "/data", "type": "tmpfs", "source": "tmpfs"}]);
    add(t, &container, &mount)?.expect(0)?;
    check_eq!(lines_of(&container, "/data")?, 2);
    remove(t, &container, &mount)?.expect(0)?;
    check_eq!(lines_of(&container, "/data")?, 1);
    remove(t, &container, &mount)?.refused(&["/data", "from its creation"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn a_user_namespace_gets_mounts(t: &mut Context) -> Result<Verdict> {
    need_mounts!(t);
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    let bundle = idle(t)?.namespace("user", None).set("/linux/uidMappings", map.clone());
    let bundle = bundle.set("/linux/gidMappings", map);
    chown(bundle.rootfs(), Some(100_000), Some(100_000))?;
    let container = t.start(&bundle)?;
    let mounts = two(t)?;
    add(t, &container, &mounts)?.expect(0)?;
    let script =
        "cat /extra/hello; ! touch /extra/x 2>&-; touch /scratch/x; stat -c %u /scratch/x /scratch";
    check_eq!(container.script(script)?.lines(), ["from the host", "0", "0"]);
    let last = json!({"destination": "/late", "type": "tmpfs", "options": ["size=nonsense"]});
    add(t, &container, &json!([mounts[0], last]))?.refused(&["/mounts/1"])?;
    check_eq!(lines_of(&container, "/extra")?, 1);
    remove(t, &container, &mounts)?.expect(0)?;
    check_eq!((lines_of(&container, "/extra")?, lines_of(&container, "/scratch")?), (0, 0));
    container.delete_forcibly()?;
    Ok(Passed)
}

fn a_user_without_privileges_adds_mounts(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle() && t.host().kernel_is(5, 12), "it needs Linux 5.12");
    let container = rootless::create(t, &rootless::bundle(t)?.writable().idle())?;
    container.start()?;
    let mounts = two(t)?;
    let change = |action: &str, mounts: &Value| -> Result<Output> {
        t.as_user(change(t, action, container.id(), mounts)?).run()
    };
    let before = host_mounts()?;
    change("add", &mounts)?.expect(0)?;
    check_eq!(host_mounts()?, before);
    let script = "cat /extra/hello; ! touch /extra/x 2>&-; touch /scratch/x && echo made";
    check_eq!(container.script(script)?.lines(), ["from the host", "made"]);
    // A flag of the host's that the user may not lower.
    let locked = t.path("locked");
    fs::create_dir(&locked)?;
    if t.host().is_root() {
        mount("x", &locked, "tmpfs", MountFlags::RDONLY, None)?;
        let lowered = json!([{"destination": "/low", "source": locked, "options": ["bind", "rw"]}]);
        let refused = change("add", &lowered);
        unmount(&locked, UnmountFlags::DETACH)?;
        refused?.refused(&["/mounts/0", "/low", "lower"])?;
    }
    change("remove", &mounts)?.expect(0)?;
    check_eq!((lines_of(&container, "/extra")?, lines_of(&container, "/scratch")?), (0, 0));
    container.delete_forcibly()?;
    Ok(Passed)
}

fn places_are_inside_the_container(t: &mut Context) -> Result<Verdict> {
    need_mounts!(t);
    let outside = t.path("outside");
    fs::create_dir(&outside)?;
    let container = t.start(&idle(t)?)?;
    let script =
        format!("mkdir -p /tmp; ln -s {0} /link; ln -s ../../../../../.. /up", outside.display());
    container.script(&script)?;
    let tmpfs = |path: &str| json!([{"destination": path, "type": "tmpfs", "source": "tmpfs"}]);
    for (path, found) in
        [("/link", outside.to_string_lossy().into_owned()), ("/up/tmp", "/tmp".into())]
    {
        add(t, &container, &tmpfs(path))?.expect(0)?;
        check_eq!(lines_of(&container, &found)?, 1);
        remove(t, &container, &tmpfs(path))?.expect(0)?;
        check_eq!(lines_of(&container, &found)?, 0);
    }
    add(t, &container, &tmpfs("/proc/self/root/x"))?.refused(&["/mounts/0"])?;
    check!(fs::read_dir(&outside)?.next().is_none());
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_what_cannot_be_added(t: &mut Context) -> Result<Verdict> {
    need_mounts!(t);
    let container = t.start(&idle(t)?)?;
    for (mount, words) in [
        (json!({"destination": "/x", "type": "proc"}), ["/mounts/0/type", "created"]),
        (json!({"destination": "/x", "type": "cgroup2"}), ["/mounts/0/type", "created"]),
        (json!({"destination": "/x", "options": ["bind"]}), ["/mounts/0/source", ""]),
        (json!({"destination": "/proc/sys", "type": "tmpfs"}), ["/mounts/0", "inside /proc"]),
    ] {
        add(t, &container, &json!([mount]))?.refused(&words)?;
    }
    container.kill("KILL")?;
    container.wait_until_stopped()?;
    add(t, &container, &two(t)?)?.refused(&["stopped"])?;
    container.delete()?;
    Ok(Passed)
}

fn a_killed_command_leaves_all_or_nothing(t: &mut Context) -> Result<Verdict> {
    need_mounts!(t);
    let container = t.start(&idle(t)?)?;
    let mounts = two(t)?;
    for moment in moments() {
        kill_after(change(t, "add", container.id(), &mounts)?.spawn()?, moment / 2)?;
        // The init program may still be at it: the next command waits for that.
        add(t, &container, &mounts)?.expect(0)?;
        let found = (lines_of(&container, "/extra")?, lines_of(&container, "/scratch")?);
        check!(found.0 == found.1 && [1, 2].contains(&found.0), "{found:?}");
        for _ in 0..found.0 {
            remove(t, &container, &mounts)?.expect(0)?;
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
