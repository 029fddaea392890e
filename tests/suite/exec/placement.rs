//! In which cgroup the process is.

use std::fs;
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    CgroupLayout, Container, Context, Result, Test, Verdict, check, check_eq, need, tests,
};

use super::idle;

pub const TESTS: &[Test] = tests![
    is_in_the_cgroup_of_the_container,
    counts_for_its_limits,
    is_in_a_cgroup_below_of_some_controllers,
    is_in_a_cgroup_below_of_all_controllers,
    refuses_a_cgroup_that_leads_away,
    refuses_a_cgroup_that_is_not_there,
    follows_the_first_process_where_it_must,
    follows_the_first_process_through_its_own_mount,
];

/// The lines of `/proc/PID/cgroup` of a process that is executed with these flags, and of the first one.
fn memberships(t: &Context, container: &Container, flags: &[&str]) -> Result<[Vec<String>; 2]> {
    let file = t.path("pid");
    let ours = ["--detach", "--pid-file", &file.to_string_lossy()];
    container.exec_with(&[&ours[..], flags].concat(), &["sleep", "1000"]).succeed()?;
    let lines = |pid: &str| -> Result<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    Ok([lines(&fs::read_to_string(&file)?)?, lines(&container.pid()?.to_string())?])
}

fn is_in_the_cgroup_of_the_container(t: &mut Context) -> Result<Verdict> {
    let bundles = [
        t.bundle()?,
        t.bundle()?.without_namespace("pid"),
        t.bundle()?.without_namespace("cgroup"),
    ];
    for bundle in bundles {
        let container = t.create(&bundle.idle())?;
        for started in [false, true] {
            if started {
                container.start()?;
            }
            let [executed, first] = memberships(t, &container, &[])?;
            check_eq!(executed, first);
        }
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

/// On v2 it cannot even be born where no more may be; on v1 it can, but have no children.
fn counts_for_its_limits(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/resources/pids/limit", 5).args(&["sleep", "1000"]);
    let container = t.start(&bundle)?;
    container.exec(&["true"]).succeed()?;
    for _ in 0..4 {
        container.exec_with(&["--detach"], &["sleep", "1000"]).succeed()?;
    }
    let output = container.exec(&["sh", "-c", "(true) && echo forked"]).run()?;
    check!(output.code() != 0 && output.stdout.is_empty(), "{output}");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn directories(t: &Context, container: &Container, names: &[&str]) -> Result<Vec<PathBuf>> {
    let pid = container.pid()?;
    let mut all: Vec<_> =
        names.iter().map(|name| t.host().cgroup_of(pid, name)).collect::<Result<_>>()?;
    all.sort();
    all.dedup();
    Ok(all)
}

fn is_in_a_cgroup_below_of_some_controllers(t: &mut Context) -> Result<Verdict> {
    need!(t.host().is_v1("pids"), "the pids controller is not on v1");
    let container = idle(t)?;
    for directory in directories(t, &container, &["pids", "cpu", "freezer"])? {
        fs::create_dir_all(directory.join("below/deeper"))?;
    }
    let flags = ["--cgroup", "pids,cpu:below", "--cgroup", "freezer:below/deeper"];
    let [executed, first] = memberships(t, &container, &flags)?;
    for (executed, first) in executed.iter().zip(&first) {
        let below = match first.split(':').nth(1).unwrap_or_default() {
            "freezer" => "/below/deeper",
            names if names.split(',').any(|name| ["pids", "cpu"].contains(&name)) => "/below",
            _ => "",
        };
        check_eq!(*executed, format!("{first}{below}"));
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_in_a_cgroup_below_of_all_controllers(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let [_, first] = memberships(t, &container, &[])?;
    let own = first.iter().filter(|line| line.ends_with(container.id()));
    let names = own.map(|line| line.split(':').nth(1).unwrap_or_default().split(',').next());
    let names: Vec<_> = names.map(Option::unwrap_or_default).collect();
    for directory in directories(t, &container, &names)? {
        let below = directory.join("below");
        fs::create_dir(&below)?;
        // Without, those of v1 take no processes.
        for file in ["cpuset.cpus", "cpuset.mems"].iter().filter(|_| t.host().is_v1("cpuset")) {
            if below.join(file).exists() {
                fs::write(below.join(file), fs::read(directory.join(file))?)?;
            }
        }
    }
    let flags = [["--cgroup", "below"], ["--cgroup", "/below"]];
    for flags in flags.iter().take(if t.is_coracle() { 2 } else { 1 }) {
        let [executed, first] = memberships(t, &container, flags)?;
        for (executed, first) in executed.iter().zip(&first) {
            let below = if first.ends_with(container.id()) { "/below" } else { "" };
            check_eq!(*executed, format!("{first}{below}"));
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_a_cgroup_that_leads_away(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let paths = ["..", "../..", "a/../..", "below/../..", "/..", "./../.."];
    let prefixes: &[&str] = if t.host().is_v1("pids") { &["", "pids:"] } else { &[""] };
    for directory in directories(t, &container, &["pids"])? {
        fs::create_dir_all(directory.join("below"))?;
    }
    for path in paths {
        for prefix in prefixes {
            let flag = format!("{prefix}{path}");
            let output = container.exec_with(&["--cgroup", &flag], &["echo", "executed"]).run()?;
            check!(output.code() != 0 && output.stdout.is_empty(), "{flag}: {output}");
            if t.is_coracle() {
                output.says(&["cgroup", ".."])?;
            }
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_a_cgroup_that_is_not_there(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let refuses = |flag: &str, words: &[&str]| {
        container.exec_with(&["--cgroup", flag], &["true"]).run()?.not_executed(words)
    };
    refuses("missing", &["missing"])?;
    if t.host().is_v1("pids") {
        refuses("pids:missing", &["missing"])?;
        refuses("nosuch:missing", &["nosuch"])?;
        if t.is_coracle() {
            refuses("a:b:c", &["\"a\""])?;
        }
    }
    // Nothing was made.
    for directory in directories(t, &container, &["pids"])? {
        check!(!directory.join("missing").exists());
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// On v2 a cgroup with controllers for those below has no processes of its own.
fn follows_the_first_process_where_it_must(t: &mut Context) -> Result<Verdict> {
    need!(t.host().layout == CgroupLayout::Unified, "cgroups are not v2 only");
    let container = idle(t)?;
    let cgroup = t.host().cgroup_of(container.pid()?, "pids")?;
    fs::create_dir(cgroup.join("moved"))?;
    fs::write(cgroup.join("moved/cgroup.procs"), container.pid()?.to_string())?;
    let [executed, first] = memberships(t, &container, &[])?;
    // As long as it may be where the container is, it is.
    check_eq!(format!("{}/moved", executed[0]), first[0]);
    for pid in fs::read_to_string(cgroup.join("cgroup.procs"))?.lines() {
        fs::write(cgroup.join("moved/cgroup.procs"), pid)?;
    }
    fs::write(cgroup.join("cgroup.subtree_control"), "+pids")?;
    let [executed, first] = memberships(t, &container, &[])?;
    check_eq!(executed, first);
    check!(first[0].ends_with("/moved"), "{first:?}");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// As systemd does, when it is the first process.
fn follows_the_first_process_through_its_own_mount(t: &mut Context) -> Result<Verdict> {
    need!(t.host().layout == CgroupLayout::Unified, "cgroups are not v2 only");
    let bundle = t.bundle()?;
    let mounts = bundle.spec()["mounts"].as_array().cloned().unwrap_or_default();
    let at = mounts.iter().position(|mount| mount["destination"] == "/sys/fs/cgroup");
    let options = format!("/mounts/{}/options", at.unwrap_or(mounts.len()));
    let bundle = bundle.set(&options, serde_json::json!(["nosuid", "noexec", "nodev", "rw"]));
    let script = "cd /sys/fs/cgroup; mkdir init.scope; echo 1 > init.scope/cgroup.procs
        echo +pids > cgroup.subtree_control && echo ready; exec sleep 1000";
    let container = t.start(&bundle.script(script))?;
    container.wait_for("ready")?;
    let [executed, first] = memberships(t, &container, &[])?;
    check_eq!(executed, first);
    container.delete_forcibly()?;
    Ok(Passed)
}
