//! Cgroups that systemd makes: units of the system, and of a user.
//!
//! They need systemd as the host's first process, and no pid namespace around the tests.

use std::fs;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Container, Context, Output, Result, Suite, Test, Verdict, check, check_eq,
    eventually, need, tests,
};

use crate::cgroups::{every_limit, removal};

pub fn add_to(suite: Suite) -> Suite {
    let suite = suite.group("systemd::system", SYSTEM).group_for_all("systemd::any", ANY);
    let suite = suite.group("systemd::every_limit", every_limit::SYSTEMD);
    suite.group("systemd::removal", removal::SYSTEMD)
}

const SYSTEM: &[Test] = tests![
    is_where_the_path_says,
    tells_systemd_of_limits,
    keeps_devices_over_reloads,
    is_cleaned_up_after_a_killed_creation,
];

const ANY: &[Test] = tests![
    makes_a_scope_and_removes_it,
    joins_the_scope,
    ends_with_its_command,
    refuses_paths_that_name_no_unit,
    leaves_no_unit_when_creation_fails,
    updates_what_systemd_knows,
    sets_properties_of_annotations,
    survives_restarts_of_systemd,
];

/// How often systemd is reloaded under a container, if nobody says otherwise.
const RELOADS: usize = 6;

fn reloads() -> usize {
    let given = std::env::var("CORACLE_TEST_RELOADS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(RELOADS)
}

macro_rules! need_systemd {
    () => {
        let runs = std::path::Path::new("/run/systemd/system").is_dir();
        need!(runs, "systemd does not run");
        let apart = std::env::var_os("CORACLE_TEST_HOST_WIDE").is_none();
        need!(!apart, "the tests are in a pid namespace of their own");
    };
}
pub(crate) use need_systemd;

/// The files of limits, on v1 and v2.
const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const PIDS: [&str; 2] = ["pids.max", "pids.max"];

fn runtime(t: &Context) -> Cmd {
    t.command().arg("--systemd-cgroup")
}

fn create(t: &Context, bundle: &Bundle) -> Result<Container> {
    t.create_by(runtime(t), bundle, &[])
}

fn idle(t: &Context) -> Result<Container> {
    let container = create(t, &t.bundle()?.idle())?;
    container.start()?;
    Ok(container)
}

fn run(t: &Context, bundle: &Bundle) -> Result<Output> {
    bundle.write()?;
    runtime(t).arg("run").arg("--bundle").arg(bundle.directory()).arg(t.id()).run()
}

fn systemctl(t: &Context) -> Cmd {
    let command = Cmd::new("systemctl");
    if t.host().is_root() { command } else { command.arg("--user") }
}

/// A property of a unit, as `systemctl show` prints it.
fn property(t: &Context, unit: &str, name: &str) -> Result<String> {
    let output = systemctl(t).args(["show", "--value", "-p", name, unit]).succeed()?;
    Ok(output.text().to_owned())
}

fn is_known(t: &Context, unit: &str) -> Result<bool> {
    Ok(property(t, unit, "LoadState")? == "loaded")
}

/// Where a process is in v2.
fn cgroup(pid: i32) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(line.unwrap_or_default().to_owned())
}

fn scope(container: &Container) -> String {
    format!("coracle-{}.scope", container.id())
}

fn makes_a_scope_and_removes_it(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let container = idle(t)?;
    let unit = scope(&container);
    check!(is_known(t, &unit)?, "systemd does not know {unit}");
    check_eq!(property(t, &unit, "Delegate")?, "yes");
    let slice = if t.host().is_root() { "system.slice" } else { "user.slice" };
    check_eq!(property(t, &unit, "Slice")?, slice);
    let path = cgroup(container.pid()?)?;
    check!(path.ends_with(&format!("/{slice}/{unit}")), "{path}");
    check_eq!(property(t, &unit, "ControlGroup")?, path);
    container.delete_forcibly()?;
    eventually("the end of the unit", || Ok((!is_known(t, &unit)?).then_some(())))?;
    check!(!Path::new(&format!("/sys/fs/cgroup{path}")).exists(), "{path} is left");
    Ok(Passed)
}

fn joins_the_scope(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let container = idle(t)?;
    let first = cgroup(container.pid()?)?;
    let pid_file = t.path("pid");
    let flags = ["--detach", "--pid-file", &pid_file.to_string_lossy()];
    container.command("exec", &flags).args(["sleep", "100"]).succeed()?;
    check_eq!(cgroup(fs::read_to_string(&pid_file)?.parse()?)?, first);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn ends_with_its_command(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    run(t, &t.bundle()?.script("exit 7"))?.expect(7)?;
    eventually("the end of the unit", || {
        let units = systemctl(t).args(["list-units", "--all", "--no-legend", "coracle-ct*"]);
        Ok(units.succeed()?.text().is_empty().then_some(()))
    })?;
    Ok(Passed)
}

fn is_where_the_path_says(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let id = t.id();
    for (path, expected) in [
        (format!("machine.slice:other:{id}"), format!("/machine.slice/other-{id}.scope")),
        (format!("a-{id}.slice::plain").replace(&id, "x"), "/a.slice/a-x.slice/plain.scope".into()),
        (format!(":pre:{id}"), format!("/system.slice/pre-{id}.scope")),
    ] {
        let container = create(t, &t.bundle()?.idle().set("/linux/cgroupsPath", path))?;
        check_eq!(cgroup(container.pid()?)?, expected);
        container.delete_forcibly()?;
    }
    systemctl(t).args(["stop", "a.slice", "a-x.slice", "machine.slice"]).run()?;
    Ok(Passed)
}

fn refuses_paths_that_name_no_unit(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    for path in ["/a/b", "a:b", "system.slice:a:b/c", "no-slice:a:b", "s.slice:x:"] {
        let output = run(t, &t.bundle()?.set("/linux/cgroupsPath", path))?;
        output.refused(&["cgroup path", path])?;
    }
    Ok(Passed)
}

fn tells_systemd_of_limits(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let bundle = t.bundle()?.idle();
    let bundle = bundle.set("/linux/resources/memory/limit", 67_108_864);
    let bundle = bundle.set("/linux/resources/pids/limit", 33);
    let bundle = bundle.set("/linux/resources/cpu/shares", 2000);
    let bundle = bundle.set("/linux/resources/cpu/quota", 50_000);
    let bundle = bundle.set("/linux/resources/cpu/period", 100_000);
    let container = create(t, &bundle)?;
    let unit = scope(&container);
    let (memory, weight) = match t.host().is_v1("cpu") {
        true => ("MemoryLimit", ("CPUShares", "2000")),
        false => ("MemoryMax", ("CPUWeight", "170")),
    };
    for (name, expected) in [
        (memory, "67108864"),
        ("TasksMax", "33"),
        weight,
        ("CPUQuotaPerSecUSec", "500ms"),
        ("DevicePolicy", "strict"),
    ] {
        check_eq!((name, property(t, &unit, name)?), (name, expected.to_owned()));
    }
    let limit = |controller, files| t.host().limit_of(container.pid()?, controller, files);
    check_eq!(limit("memory", MEMORY)?, "67108864");
    check_eq!(limit("pids", PIDS)?, "33");
    let quota = limit("cpu", ["cpu.cfs_quota_us", "cpu.max"])?;
    check_eq!(quota.split(' ').next(), Some("50000"));
    container.delete_forcibly()?;
    Ok(Passed)
}

fn updates_what_systemd_knows(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let container = idle(t)?;
    container.command("update", &["--memory", "32M", "--pids-limit", "44"]).succeed()?;
    let unit = scope(&container);
    let memory = if t.host().is_v1("memory") { "MemoryLimit" } else { "MemoryMax" };
    check_eq!(property(t, &unit, memory)?, "33554432");
    check_eq!(property(t, &unit, "TasksMax")?, "44");
    systemctl(t).arg("daemon-reload").succeed()?;
    let limit = |controller, files| t.host().limit_of(container.pid()?, controller, files);
    check_eq!(limit("memory", MEMORY)?, "33554432");
    check_eq!(limit("pids", PIDS)?, "44");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn sets_properties_of_annotations(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let annotation = |name: &str| format!("/annotations/org.systemd.property.{name}");
    let bundle = t.bundle()?.idle().set(&annotation("TimeoutStopSec"), "7");
    let container = create(t, &bundle.set(&annotation("Description"), "'our own'"))?;
    let unit = scope(&container);
    check_eq!(property(t, &unit, "TimeoutStopUSec")?, "7s");
    check_eq!(property(t, &unit, "Description")?, "our own");
    container.delete_forcibly()?;
    for (name, value) in [("ExecStopPost", "'/bin/sh'"), ("SuccessAction", "'reboot'")] {
        let output = run(t, &t.bundle()?.set(&annotation(name), value))?;
        output.refused(&["systemd property", name])?;
    }
    run(t, &t.bundle()?.set(&annotation("TasksMax"), "seven"))?
        .refused(&["TasksMax", "GVariant"])?;
    Ok(Passed)
}

/// A device that is allowed opens, one that is not does not.
fn check_devices(container: &Container) -> Result<()> {
    let script = "echo x > /dev/null && mknod /tmp/m c 1 1 && { cat /tmp/m > /tmp/seen; rm /tmp/m; \
                  test ! -s /tmp/seen; } && echo right";
    let output = container.command("exec", &[]).args(["sh", "-c", script]).run()?;
    check!(output.stdout.contains("right") && output.stderr.contains("not permitted"), "{output}");
    Ok(())
}

/// A container that may make devices, and use those only that every container may.
fn with_devices(t: &Context) -> Result<Bundle> {
    let rules = serde_json::json!([{"allow": false, "access": "rwm"}]);
    let bundle = t.bundle()?.idle().set("/linux/resources/devices", rules);
    let bundle = bundle.mount("/tmp", "tmpfs", "tmpfs", &["dev"]);
    Ok(bundle.capabilities(&["CAP_MKNOD", "CAP_KILL", "CAP_DAC_OVERRIDE"]))
}

fn keeps_devices_over_reloads(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let container = create(t, &with_devices(t)?)?;
    container.start()?;
    check_devices(&container)?;
    for _ in 0..3 {
        systemctl(t).arg("daemon-reload").succeed()?;
        check_devices(&container)?;
    }
    systemctl(t).arg("daemon-reexec").succeed()?;
    check_devices(&container)?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn survives_restarts_of_systemd(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    for round in 0..reloads() {
        let action = if round % 2 == 0 { "daemon-reload" } else { "daemon-reexec" };
        let restart = systemctl(t).arg(action).spawn()?;
        // A user has no say in devices.
        let bundle = if t.host().is_root() { with_devices(t)? } else { t.bundle()?.idle() };
        let container = create(t, &bundle.set("/linux/resources/pids/limit", 55))?;
        restart.wait()?.expect(0)?;
        container.start()?;
        let restart = systemctl(t).arg(action).spawn()?;
        container.command("exec", &[]).arg("true").succeed()?;
        container.command("update", &["--pids-limit", "66"]).succeed()?;
        restart.wait()?.expect(0)?;
        let limit = t.host().limit_of(container.pid()?, "pids", PIDS)?;
        check_eq!((round, limit.as_str()), (round, "66"));
        if t.host().is_root() {
            check_devices(&container)?;
        }
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn leaves_no_unit_when_creation_fails(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    let bundle = t.bundle()?.args(&["/no/such/program"]);
    check_eq!(run(t, &bundle)?.code(), 1);
    eventually("the end of the unit", || {
        let units = systemctl(t).args(["list-units", "--all", "--no-legend", "coracle-ct*"]);
        Ok(units.succeed()?.text().is_empty().then_some(()))
    })?;
    Ok(Passed)
}

fn is_cleaned_up_after_a_killed_creation(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    for delay in [5, 20, 40, 80, 160, 320] {
        let bundle = t.bundle()?.idle();
        bundle.write()?;
        let id = t.id();
        let create = runtime(t).arg("create").arg("--bundle").arg(bundle.directory()).arg(&id);
        let create = create.spawn()?;
        std::thread::sleep(std::time::Duration::from_millis(delay));
        create.kill()?;
        t.command().args(["delete", "--force", &id]).succeed()?;
        let unit = format!("coracle-{id}.scope");
        eventually("the end of the unit", || Ok((!is_known(t, &unit)?).then_some(())))?;
    }
    Ok(Passed)
}
