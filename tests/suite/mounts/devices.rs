//! `/linux/devices` and what is in /dev.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, tests};
use serde_json::json;

use super::mapped;

pub const TESTS: &[Test] = tests![
    makes_the_default_devices,
    the_default_devices_work,
    makes_the_links,
    makes_what_is_asked_for,
    makes_what_a_user_namespace_may_make,
    gives_devices_mode_and_owner,
    lets_the_configuration_replace_a_default_device,
    makes_a_read_only_dev_read_only_at_last,
    leaves_a_bound_dev_as_it_is,
    refuses_a_device_of_no_type,
];

fn makes_the_default_devices(t: &mut Context) -> Result<Verdict> {
    let script = "cd /dev; stat -c '%n %F %t:%T %a %u:%g' null zero full random urandom tty";
    let output = t.script(script)?;
    let expected = ["null 3", "zero 5", "full 7", "random 8", "urandom 9"].map(|device| {
        let (name, minor) = device.split_once(' ').unwrap_or_default();
        format!("{name} character special file 1:{minor} 666 0:0")
    });
    check_eq!(output.lines()[..5], expected);
    check_eq!(output.lines()[5], "tty character special file 5:0 666 0:0");
    Ok(Passed)
}

fn the_default_devices_work(t: &mut Context) -> Result<Verdict> {
    let script = "echo x > /dev/null && head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c
        head -c 4 /dev/random | wc -c; cat /dev/null | wc -c; echo x > /dev/full";
    let output = t.run(&t.bundle()?.script(script))?;
    let numbers: Vec<_> = output.stdout.split_whitespace().collect();
    check_eq!(numbers, ["4", "4", "4", "0"]);
    check!(output.stderr.contains("No space left"), "{output}");
    Ok(Passed)
}

fn makes_the_links(t: &mut Context) -> Result<Verdict> {
    let output = t.script("cd /dev; for n in fd stdin stdout stderr ptmx; do readlink $n; done")?;
    let expected =
        ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"];
    check_eq!(output.lines(), expected);
    Ok(Passed)
}

fn makes_what_is_asked_for(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    let bundle = bundle.push(
        "/linux/devices",
        json!({"path": "/dev/a/fuse", "type": "c", "major": 10, "minor": 229}),
    );
    let bundle = bundle
        .push("/linux/devices", json!({"path": "/dev/u", "type": "u", "major": 1, "minor": 7}));
    let bundle = bundle
        .push("/linux/devices", json!({"path": "/dev/loop", "type": "b", "major": 7, "minor": 9}));
    let bundle = bundle.push("/linux/devices", json!({"path": "/dev/pipe", "type": "p"}));
    let bundle = bundle.script("cd /dev; stat -c '%n %F %t:%T' a/fuse u loop pipe");
    let expected = [
        "a/fuse character special file a:e5",
        "u character special file 1:7",
        "loop block special file 7:9",
        "pipe fifo 0:0",
    ];
    check_eq!(t.run(&bundle)?.expect(0)?.lines(), expected);
    Ok(Passed)
}

/// Devices are the host's own, a FIFO is a new one.
fn makes_what_a_user_namespace_may_make(t: &mut Context) -> Result<Verdict> {
    let mapped = mapped(t.bundle()?);
    let device = |path: &str, kind: &str, minor: u32| {
        let mode = 0o620;
        json!({"path": path, "type": kind, "major": 1, "minor": minor, "fileMode": mode, "gid": 5})
    };
    let bundle = mapped.clone().push("/linux/devices", device("/dev/kmsg", "c", 11));
    let bundle = bundle.push("/linux/devices", device("/dev/pipe", "p", 0));
    let bundle = bundle.push("/linux/devices", device("/dev/deep/pipe", "p", 0));
    let bundle = bundle.script(
        "cd /dev; stat -c '%n %F %t:%T' kmsg null
        stat -c '%n %F %a %u:%g' pipe deep/pipe; echo through > pipe & cat pipe",
    );
    let expected = [
        "kmsg character special file 1:b",
        "null character special file 1:3",
        "pipe fifo 620 0:5",
        "deep/pipe fifo 620 0:5",
        "through",
    ];
    check_eq!(t.run(&bundle)?.expect(0)?.lines(), expected);
    for (path, minor, words) in [
        ("/dev/no-such-device", 3, ["only the host's", "ENOENT"]),
        ("/dev/zero", 3, ["/dev/zero", "ENODEV"]),
    ] {
        let bundle = mapped.clone().push("/linux/devices", device(path, "c", minor));
        t.run(&bundle)?.refused(&words)?;
    }
    Ok(Passed)
}

fn gives_devices_mode_and_owner(t: &mut Context) -> Result<Verdict> {
    let device = json!({
        "path": "/dev/mine", "type": "c", "major": 1, "minor": 3,
        "fileMode": 0o640, "uid": 1000, "gid": 5
    });
    let bundle = t.bundle()?.push("/linux/devices", device);
    let command = t.run_with(&bundle.script("stat -c '%a %u:%g' /dev/mine"), &[])?;
    check_eq!(command.after("umask 077").succeed()?.text(), "640 1000:5");
    Ok(Passed)
}

fn lets_the_configuration_replace_a_default_device(t: &mut Context) -> Result<Verdict> {
    let device = json!({
        "path": "/dev/zero", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600
    });
    let ptmx = json!({"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2});
    let bundle = t.bundle()?.push("/linux/devices", device).push("/linux/devices", ptmx);
    let bundle = bundle.script("stat -c '%t:%T %a' /dev/zero; readlink /dev/ptmx");
    check_eq!(t.run(&bundle)?.expect(0)?.lines(), ["1:3 600", "pts/ptmx"]);
    Ok(Passed)
}

fn makes_a_read_only_dev_read_only_at_last(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.push("/mounts/1/options", "ro");
    let bundle = bundle.script("touch /dev/x; test -c /dev/null && echo there; echo > /dev/null");
    let output = t.run(&bundle)?.expect(0)?;
    check_eq!(output.text(), "there");
    check!(output.stderr.contains("Read-only file system"), "{output}");
    Ok(Passed)
}

fn leaves_a_bound_dev_as_it_is(t: &mut Context) -> Result<Verdict> {
    let dev = t.path("dev");
    fs::create_dir(&dev)?;
    let bundle = t.bundle()?;
    let mounts = bundle.spec()["mounts"].as_array().cloned().unwrap_or_default();
    let others = mounts.into_iter().filter(|mount| {
        mount["destination"].as_str().is_some_and(|path| !path.starts_with("/dev"))
    });
    let bundle = bundle.set("/mounts", others.collect::<Vec<_>>());
    let bundle = bundle.mount("/dev", "bind", &dev.to_string_lossy(), &["bind"]);
    let bundle = bundle.set("/linux/maskedPaths", json!([]));
    check_eq!(t.run(&bundle.script("ls /dev"))?.expect(0)?.stdout, "");
    check_eq!(fs::read_dir(&dev)?.count(), 0);
    Ok(Passed)
}

fn refuses_a_device_of_no_type(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.push("/linux/devices", json!({"path": "/dev/x", "type": "z"}));
    t.run(&bundle)?.refused(&["/linux/devices/0/type"])?;
    Ok(Passed)
}
