//! `/linux/namespaces` and what belongs to it.

use std::fs;
use std::os::unix::fs::chown;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Container, Context, Result, Suite, Test, Verdict, check, check_eq, check_has,
    eventually, need, tests,
};
use serde_json::json;

pub fn add_to(suite: Suite) -> Suite {
    suite.group("namespaces", TESTS)
}

const TESTS: &[Test] = tests![
    each_kind_is_new_or_the_callers,
    each_kind_can_be_joined,
    joins_a_mount_namespace,
    joins_a_user_namespace_with_the_others,
    maps_users_and_groups,
    gives_the_mapped_root_its_streams,
    shifts_the_clocks,
    names_the_host,
    brings_up_loopback,
    hides_other_processes,
    hides_the_host_in_the_cgroup_namespace,
    shows_other_processes_in_a_shared_pid_namespace,
    refuses_what_cannot_be_joined,
    refuses_to_share_the_mount_namespace,
    refuses_one_kind_twice,
    keeps_a_namespace_that_somebody_else_uses,
];

/// The types of the specification and the names in /proc.
const KINDS: [(&str, &str); 6] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

const LINKS: &str =
    "for n in pid net ipc uts cgroup time mnt user; do readlink /proc/self/ns/$n; done";

/// What `readlink` says of our own namespace of this kind.
fn ours(name: &str) -> Result<String> {
    Ok(fs::read_link(format!("/proc/self/ns/{name}"))?.display().to_string())
}

/// What `LINKS` printed for this kind.
fn printed<'output>(lines: &[&'output str], name: &str) -> &'output str {
    lines.iter().find(|line| line.starts_with(&format!("{name}:"))).copied().unwrap_or_default()
}

fn without_all(bundle: Bundle) -> Bundle {
    KINDS.iter().fold(bundle, |bundle, (kind, _)| bundle.without_namespace(kind))
}

fn each_kind_is_new_or_the_callers(t: &mut Context) -> Result<Verdict> {
    let none = without_all(t.bundle()?).remove("/hostname").script(LINKS);
    let none = t.run(&none)?.expect(0)?;
    let lines = none.lines();
    for name in ["pid", "net", "ipc", "uts", "cgroup", "time", "user"] {
        check_eq!(printed(&lines, name), ours(name)?);
    }
    check!(printed(&lines, "mnt") != ours("mnt")?);
    for (kind, name) in KINDS {
        let bundle = without_all(t.bundle()?).remove("/hostname").namespace(kind, None);
        let output = t.run(&bundle.script(LINKS))?.expect(0)?;
        let lines = output.lines();
        check!(printed(&lines, name) != ours(name)?, "{kind} is the caller's");
        for (_, other) in KINDS.iter().filter(|(_, other)| *other != name) {
            check_eq!(printed(&lines, other), ours(other)?);
        }
    }
    Ok(Passed)
}

/// A container to be joined, in a new namespace of every kind.
fn neighbour(t: &Context) -> Result<Container> {
    let bundle = KINDS.iter().fold(t.bundle()?.idle(), |it, (kind, _)| it.namespace(kind, None));
    let container = t.start(&bundle)?;
    container.wait_for("ready")?;
    Ok(container)
}

fn each_kind_can_be_joined(t: &mut Context) -> Result<Verdict> {
    let neighbour = neighbour(t)?;
    let pid = neighbour.pid()?;
    let path = |name: &str| format!("/proc/{pid}/ns/{name}");
    for (kind, name) in KINDS {
        let bundle = t.bundle()?.remove("/hostname").namespace(kind, Some(&path(name)));
        let output = t.run(&bundle.script(LINKS))?.expect(0)?;
        let theirs = fs::read_link(path(name))?.display().to_string();
        check_eq!(printed(&output.lines(), name), theirs);
    }
    let all = KINDS.iter().fold(t.bundle()?.remove("/hostname"), |bundle, (kind, name)| {
        bundle.namespace(kind, Some(&path(name)))
    });
    let output = t.run(&all.script(LINKS))?.expect(0)?;
    for (_, name) in KINDS {
        let theirs = fs::read_link(path(name))?.display().to_string();
        check_eq!(printed(&output.lines(), name), theirs);
    }
    check_eq!(neighbour.status()?, "running");
    neighbour.delete_forcibly()?;
    Ok(Passed)
}

fn joins_a_mount_namespace(t: &mut Context) -> Result<Verdict> {
    let helper = Cmd::new("unshare").args(["--mount", "sleep", "1000"]).spawn()?;
    let path = format!("/proc/{}/ns/mnt", helper.pid());
    eventually("a mount namespace", || {
        let theirs = fs::read_link(&path)?.display().to_string();
        Ok((theirs != ours("mnt")?).then_some(()))
    })?;
    let bundle = t.bundle()?.namespace("mount", Some(&path)).script(LINKS);
    let output = t.run(&bundle)?.expect(0)?;
    let theirs = fs::read_link(&path)?.display().to_string();
    check_eq!(printed(&output.lines(), "mnt"), theirs);
    helper.kill()?;
    Ok(Passed)
}

/// A bundle with a user namespace, and a root file system that its root owns.
pub(crate) fn mapped(t: &Context) -> Result<Bundle> {
    let bundle = t.bundle()?.namespace("user", None);
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    chown(bundle.rootfs(), Some(100_000), Some(100_000))?;
    Ok(bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map))
}

fn joins_a_user_namespace_with_the_others(t: &mut Context) -> Result<Verdict> {
    let neighbour = t.start(&mapped(t)?.idle())?;
    neighbour.wait_for("ready")?;
    let pid = neighbour.pid()?;
    let path = |name: &str| format!("/proc/{pid}/ns/{name}");
    let script = format!("{LINKS}; cat /proc/self/uid_map; id -u");
    for others in [&[][..], &[("network", "net"), ("ipc", "ipc"), ("uts", "uts")]] {
        let bundle = t.bundle()?.remove("/hostname").namespace("user", Some(&path("user")));
        chown(bundle.rootfs(), Some(100_000), Some(100_000))?;
        let join = |it: Bundle, (kind, name): &(&str, &str)| it.namespace(kind, Some(&path(name)));
        let output = t.run(&others.iter().fold(bundle, join).script(&script))?.expect(0)?;
        let lines = output.lines();
        for (_, name) in others.iter().chain(&[("user", "user")]) {
            let theirs = fs::read_link(path(name))?.display().to_string();
            check_eq!(printed(&lines, name), theirs);
        }
        let map: Vec<_> = lines[8].split_whitespace().collect();
        check_eq!(map, ["0", "100000", "65536"]);
        check_eq!(lines[9], "0");
    }
    neighbour.delete_forcibly()?;
    Ok(Passed)
}

fn maps_users_and_groups(t: &mut Context) -> Result<Verdict> {
    let script = "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
        stat -c %u /; stat -c %u /bin/busybox; touch /mine && stat -c %u:%g /mine; grep Groups /proc/self/status";
    let bundle = mapped(t)?.writable();
    let bundle = bundle.set("/process/user", json!({"uid": 5, "gid": 6, "additionalGids": [7]}));
    let bundle = bundle.capabilities(&["CAP_DAC_OVERRIDE"]);
    let bundle = bundle.set("/process/capabilities/ambient", json!(["CAP_DAC_OVERRIDE"]));
    let bundle =
        bundle.set("/process/capabilities/inheritable", json!(["CAP_DAC_OVERRIDE"])).script(script);
    let output = t.run(&bundle)?.expect(0)?;
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    check_eq!(
        words,
        [
            "5", "6", "0", "100000", "65536", "0", "100000", "65536", "allow", "0", "65534", "5:6",
            "Groups:", "6", "7"
        ]
    );
    let owner = fs::metadata(bundle.rootfs().join("mine"))?;
    check_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 100_005);
    Ok(Passed)
}

/// Its user must be able to open them again, as `/dev/stdout`.
fn gives_the_mapped_root_its_streams(t: &mut Context) -> Result<Verdict> {
    let bundle = mapped(t)?.script("echo first > /dev/stdout; echo second > /dev/stderr");
    let output = t.run_with(&bundle, &[])?.succeed()?;
    check_eq!((output.text(), output.stderr.trim()), ("first", "second"));
    Ok(Passed)
}

fn shifts_the_clocks(t: &mut Context) -> Result<Verdict> {
    for bundle in [t.bundle()?, mapped(t)?] {
        shifts_the_clocks_of(t, bundle)?;
    }
    let neighbour = t.start(&mapped(t)?.idle())?;
    neighbour.wait_for("ready")?;
    let joining = mapped(t)?.remove("/linux/uidMappings").remove("/linux/gidMappings");
    let users = format!("/proc/{}/ns/user", neighbour.pid()?);
    let joining = joining.remove("/hostname").namespace("user", Some(&users));
    shifts_the_clocks_of(t, joining)?;
    neighbour.delete_forcibly()?;
    let shared = t.bundle()?.set("/linux/timeOffsets/boottime", json!({"secs": 1}));
    t.run(&shared)?.refused(&["/linux/timeOffsets", "time"])?;
    // No clock may show less than nothing.
    let before = |secs: i64| -> Result<Bundle> {
        let bundle =
            t.bundle()?.namespace("time", None).args(&["cat", "/proc/self/timens_offsets"]);
        Ok(bundle
            .set("/linux/timeOffsets/monotonic", json!({"secs": secs, "nanosecs": 999_999_999})))
    };
    check_has!(t.run(&before(-1)?)?.expect(0)?.stdout.replace(' ', ""), "monotonic-1999999999");
    t.run(&before(-1_000_000_000)?)?.refused(&["/linux/timeOffsets", "ERANGE"])?;
    Ok(Passed)
}

fn shifts_the_clocks_of(t: &Context, bundle: Bundle) -> Result<()> {
    let bundle = bundle.namespace("time", None);
    let bundle = bundle.set("/linux/timeOffsets/boottime", json!({"secs": 1_000_000}));
    let bundle = bundle.set("/linux/timeOffsets/monotonic", json!({"secs": 5, "nanosecs": 7}));
    let output = t.run(&bundle.script("cat /proc/uptime /proc/self/timens_offsets"))?.expect(0)?;
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    let uptime: f64 = words[0].parse()?;
    check!(uptime >= 1_000_000.0, "the clock shows {uptime}");
    check_eq!(words[2..], ["monotonic", "5", "7", "boottime", "1000000", "0"]);
    Ok(())
}

fn names_the_host(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/hostname", "vessel.example").set("/domainname", "fleet");
    let script = "hostname; cat /proc/sys/kernel/domainname";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["vessel.example", "fleet"]);
    let shared = t.bundle()?.without_namespace("uts").set("/hostname", "vessel");
    t.run(&shared)?.refused(&["/hostname", "uts"])?;
    Ok(Passed)
}

fn brings_up_loopback(t: &mut Context) -> Result<Verdict> {
    // One that asks too early, or goes before it is answered, asks again.
    let serve = "while echo hello | nc -l -p 5000; do :; done 2>/dev/null &";
    let ask = "until nc 127.0.0.1 5000 2>/dev/null < /dev/null | grep hello; do sleep 0.02; done";
    let output =
        t.script(&format!("ls /sys/class/net; cat /sys/class/net/lo/flags; {serve} {ask}"))?;
    let lines = output.lines();
    check!(lines.contains(&"lo") && !lines.iter().any(|line| line.starts_with("eth")));
    let flags = u32::from_str_radix(lines[lines.len() - 2].trim_start_matches("0x"), 16)?;
    check_eq!((flags & 1, lines[lines.len() - 1]), (1, "hello"));
    Ok(Passed)
}

fn hides_other_processes(t: &mut Context) -> Result<Verdict> {
    let output = t.script("echo $$; ls -d /proc/[0-9]* | wc -l")?;
    let lines = output.lines();
    check_eq!(lines[0], "1");
    check!(lines[1].trim().parse::<u32>()? <= 3, "{lines:?}");
    Ok(Passed)
}

fn hides_the_host_in_the_cgroup_namespace(t: &mut Context) -> Result<Verdict> {
    let output = t.script("cut -d: -f3 /proc/self/cgroup | sort -u")?;
    check_eq!(output.text(), "/");
    let (command, id) =
        t.run_as(&t.bundle()?.without_namespace("cgroup").script("cat /proc/self/cgroup"), &[])?;
    let output = command.succeed()?;
    for line in output.lines().iter().filter(|line| !line.starts_with("0::")) {
        check!(line.ends_with(&id), "{line:?} does not end in {id}");
    }
    Ok(Passed)
}

fn shows_other_processes_in_a_shared_pid_namespace(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.without_namespace("pid").script("echo $$; cat /proc/1/comm");
    let output = t.run(&bundle)?.expect(0)?;
    check!(output.lines()[0] != "1");
    check_eq!(output.lines()[1], fs::read_to_string("/proc/1/comm")?.trim());
    Ok(Passed)
}

fn refuses_what_cannot_be_joined(t: &mut Context) -> Result<Verdict> {
    let join = |kind: &str, path: &str| -> Result<_> {
        t.run(&t.bundle()?.remove("/hostname").namespace(kind, Some(path)))
    };
    join("network", "/proc/self/ns/uts")?.refused(&["/proc/self/ns/uts", "net"])?;
    join("network", "/nowhere/net")?.refused(&["/nowhere/net"])?;
    join("uts", "/etc/passwd")?.refused(&["/etc/passwd"])?;
    join("ipc", "relative")?.refused(&["/linux/namespaces", "absolute"])?;
    Ok(Passed)
}

fn refuses_to_share_the_mount_namespace(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc and crun find it out later, each in its way");
    t.run(&t.bundle()?.without_namespace("mount"))?.refused(&["mount namespace"])?;
    Ok(Passed)
}

fn refuses_one_kind_twice(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.push("/linux/namespaces", json!({"type": "pid"}));
    t.run(&bundle)?.refused(&["/linux/namespaces", "pid"])?;
    Ok(Passed)
}

fn keeps_a_namespace_that_somebody_else_uses(t: &mut Context) -> Result<Verdict> {
    let neighbour = neighbour(t)?;
    let path = format!("/proc/{}/ns/uts", neighbour.pid()?);
    let bundle = t.bundle()?.remove("/hostname").namespace("uts", Some(&path));
    let container =
        t.start(&bundle.script("echo ready; read x < /dev/null; sleep 0.2; hostname"))?;
    container.wait_for("ready")?;
    neighbour.delete_forcibly()?;
    check_has!(container.finish()?, "coracle");
    Ok(Passed)
}
