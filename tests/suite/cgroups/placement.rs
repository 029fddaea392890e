//! Which cgroup a container is in, and what becomes of it.

use std::fs;
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Cmd, Context, Result, Test, Verdict, check, check_eq, check_has, need, tests,
};

pub const TESTS: &[Test] = tests![
    is_in_a_cgroup_of_its_name_everywhere,
    is_in_the_cgroup_that_is_asked_for,
    is_in_it_before_it_does_anything,
    removes_the_cgroup_in_the_end,
    removes_the_cgroup_if_the_creation_fails,
    refuses_a_cgroup_that_is_in_use,
    takes_an_empty_cgroup,
    refuses_a_frozen_cgroup,
    refuses_a_path_that_leads_up,
    keeps_two_containers_apart,
];

/// Every line of a `/proc/PID/cgroup`, but for hierarchies that are not mounted.
fn memberships(t: &Context, pid: i32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let mounted = |line: &&str| {
        let names = line.split(':').nth(1).unwrap_or_default();
        names.split(',').any(|name| t.host().is_v1(name))
    };
    Ok(text.lines().filter(mounted).map(str::to_owned).collect())
}

fn is_in_a_cgroup_of_its_name_everywhere(t: &mut Context) -> Result<Verdict> {
    let container = t.create(&t.bundle()?.idle())?;
    for started in [false, true] {
        if started {
            container.start()?;
        }
        let lines = memberships(t, container.pid()?)?;
        check!(!lines.is_empty());
        for line in lines {
            check!(line.ends_with(container.id()), "{line:?} is not {}", container.id());
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_in_the_cgroup_that_is_asked_for(t: &mut Context) -> Result<Verdict> {
    let parent = t.id();
    for path in [format!("/{parent}"), format!("/{parent}/a/b"), format!("{parent}/relative")] {
        let container = t.start(&t.bundle()?.set("/linux/cgroupsPath", path.clone()).idle())?;
        for line in memberships(t, container.pid()?)? {
            let seen = line.splitn(3, ':').nth(2).unwrap_or_default().to_owned();
            check!(seen.ends_with(&path), "{line:?} is not in {path}");
            check!(!path.starts_with('/') || seen == path, "{line:?} is not in {path}");
        }
        container.delete_forcibly()?;
    }
    // What is above the container's cgroup may be others' too, and stays.
    for hierarchy in t.host().hierarchies() {
        fs::remove_dir(hierarchy.join(&parent).join("a"))?;
        fs::remove_dir(hierarchy.join(&parent))?;
        let own = t.host().own_cgroup(hierarchy)?.join(&parent);
        if own.exists() {
            fs::remove_dir(own)?;
        }
    }
    Ok(Passed)
}

/// The children of the first process are counted from the beginning.
fn is_in_it_before_it_does_anything(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("sleep 1000 & sleep 1000 & echo ready; wait");
    let container = t.start(&bundle)?;
    container.wait_for("ready")?;
    for controller in ["pids", "memory"] {
        let cgroup = t.host().cgroup_of(container.pid()?, controller)?;
        let processes = fs::read_to_string(cgroup.join("cgroup.procs"))?;
        check_eq!(processes.lines().count(), 3);
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn cgroups_of(t: &Context, pid: i32) -> Result<Vec<PathBuf>> {
    ["pids", "memory", "cpu", "freezer"].iter().map(|it| t.host().cgroup_of(pid, it)).collect()
}

fn removes_the_cgroup_in_the_end(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.idle())?;
    let cgroups = cgroups_of(t, container.pid()?)?;
    check!(cgroups.iter().all(|path| path.exists()));
    container.delete_forcibly()?;
    for path in cgroups {
        check!(!path.exists(), "{} is left", path.display());
    }
    Ok(Passed)
}

/// The audit looks for it.
fn removes_the_cgroup_if_the_creation_fails(t: &mut Context) -> Result<Verdict> {
    t.run(&t.bundle()?.args(&["/no/such/program"]))?.refused(&["/no/such/program"])?;
    let bundle = t.bundle()?.set("/linux/resources/cpu/cpus", "4095");
    t.run(&bundle)?.refused(&["cpu", "4095"])?;
    Ok(Passed)
}

fn refuses_a_cgroup_that_is_in_use(t: &mut Context) -> Result<Verdict> {
    let name = t.id();
    let directory = t.host().hierarchy("pids")?.join(&name);
    fs::create_dir(&directory)?;
    let bystander = Cmd::new("sleep").arg("1000").spawn()?;
    fs::write(directory.join("cgroup.procs"), bystander.pid().to_string())?;
    let bundle = t.bundle()?.set("/linux/cgroupsPath", format!("/{name}"));
    t.run(&bundle)?.refused(&[&name, "process"])?;
    check!(bystander.runs()? && directory.is_dir());
    let members = fs::read_to_string(directory.join("cgroup.procs"))?;
    check_eq!(members.trim(), bystander.pid().to_string());
    bystander.kill()?;
    fs::remove_dir(directory)?;
    Ok(Passed)
}

fn takes_an_empty_cgroup(t: &mut Context) -> Result<Verdict> {
    let name = t.id();
    let directory = t.host().hierarchy("pids")?.join(&name);
    fs::create_dir(&directory)?;
    let bundle = t.bundle()?.set("/linux/cgroupsPath", format!("/{name}"));
    t.run(&bundle)?.expect(0)?;
    // Whether it is left is a matter of taste; the audit wants it gone.
    if directory.exists() {
        fs::remove_dir(directory)?;
    }
    Ok(Passed)
}

fn refuses_a_frozen_cgroup(t: &mut Context) -> Result<Verdict> {
    let name = t.id();
    let directory = t.host().hierarchy("freezer")?.join(&name);
    fs::create_dir(&directory)?;
    let (file, frozen, thawed) = if t.host().is_v1("freezer") {
        ("freezer.state", "FROZEN", "THAWED")
    } else {
        ("cgroup.freeze", "1", "0")
    };
    fs::write(directory.join(file), frozen)?;
    let bundle = t.bundle()?.set("/linux/cgroupsPath", format!("/{name}"));
    t.run(&bundle)?.refused(&[&name, "frozen"])?;
    fs::write(directory.join(file), thawed)?;
    fs::remove_dir(directory)?;
    Ok(Passed)
}

fn refuses_a_path_that_leads_up(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "runc cleans such paths instead");
    for path in ["/..", "/a/../../b", "..", "../x"] {
        let bundle = t.bundle()?.set("/linux/cgroupsPath", path);
        t.run(&bundle)?.refused(&[".."])?;
    }
    Ok(Passed)
}

fn keeps_two_containers_apart(t: &mut Context) -> Result<Verdict> {
    let path = format!("/{}", t.id());
    let bundle = t.bundle()?.set("/linux/cgroupsPath", path.clone()).idle();
    let first = t.start(&bundle)?;
    first.wait_for("ready")?;
    let second = t.bundle()?.set("/linux/cgroupsPath", path);
    let refused = t.run(&second)?.expect(1)?;
    check_has!(refused.stderr, "process");
    check_eq!(first.status()?, "running");
    first.delete_forcibly()?;
    Ok(Passed)
}
