//! The end of containers that resist it.

use std::fs;
use std::path::{Path, PathBuf};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    CgroupLayout, Cmd, Container, Context, Result, Test, Verdict, check, eventually, need, rounds,
    tests,
};

use crate::systemd::need_systemd;

pub const TESTS: &[Test] = tests![ends_forks_in_nested_cgroups, ends_forks_in_threaded_cgroups];
pub const SYSTEMD: &[Test] = tests![ends_forks_in_nested_cgroups_of_a_unit];

/// So many there never are: whose fork fails, that shell ends.
const LIMIT: u64 = 3000;

/// Processes that are forked all the time, whose parents end at once.
const FORKS: &str = "echo ready; while :; do (sleep 0.1 & (sleep 0.1; :) &); done";

fn forking(t: &Context, runtime: Cmd) -> Result<Container> {
    let bundle = t.bundle()?.set("/linux/resources/pids/limit", LIMIT).script(FORKS);
    let container = t.create_by(runtime, &bundle, &[])?;
    container.start()?;
    container.wait_for("ready")?;
    Ok(container)
}

/// The container's directories, each once.
fn directories(t: &Context, container: &Container) -> Result<Vec<PathBuf>> {
    let pid = container.pid()?;
    let mut all = ["", "cpu", "cpuset", "devices", "freezer", "memory", "pids"]
        .iter()
        .filter(|controller| t.host().is_v1(controller))
        .map(|controller| t.host().cgroup_of(pid, controller))
        .collect::<Result<Vec<_>>>()?;
    all.sort();
    all.dedup();
    // The process of a container that has ended is in the root.
    for directory in &all {
        let own = directory.to_string_lossy().contains(container.id());
        check!(own, "{} is not its own", directory.display());
    }
    Ok(all)
}

/// Moves some of the processes to a cgroup; those that are gone already do not matter.
fn move_some(from: &Path, to: &Path) -> Result<()> {
    let processes = fs::read_to_string(from.join("cgroup.procs"))?;
    for process in processes.lines().skip(1).step_by(3) {
        fs::write(to.join("cgroup.procs"), process).unwrap_or_default();
    }
    Ok(())
}

/// Deletes the container; nothing of it may be left.
fn end(container: &Container, directories: &[PathBuf]) -> Result<()> {
    container.delete_forcibly()?;
    for directory in directories {
        check!(!directory.exists(), "{} is left", directory.display());
    }
    Ok(())
}

fn end_nested(t: &Context, runtime: fn(&Context) -> Cmd) -> Result<()> {
    for _ in 0..rounds(4) {
        let container = forking(t, runtime(t))?;
        let directories = directories(t, &container)?;
        for directory in &directories {
            // A cpuset of v1 without processors takes nobody.
            for name in ["a/b/c/d", "e"] {
                fs::create_dir_all(directory.join(name))?;
                move_some(directory, &directory.join(name))?;
            }
        }
        end(&container, &directories)?;
    }
    Ok(())
}

fn ends_forks_in_nested_cgroups(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others do not reach all of them each time");
    end_nested(t, Context::command)?;
    Ok(Passed)
}

fn ends_forks_in_nested_cgroups_of_a_unit(t: &mut Context) -> Result<Verdict> {
    need_systemd!();
    end_nested(t, |t| t.command().arg("--systemd-cgroup"))?;
    Ok(Passed)
}

/// A threaded cgroup takes single threads, lists no processes and cannot be killed at once.
fn ends_forks_in_threaded_cgroups(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others do not reach all of them each time");
    need!(t.host().layout != CgroupLayout::Legacy, "no v2");
    for _ in 0..rounds(4) {
        let container = forking(t, t.command())?;
        let directories = directories(t, &container)?;
        let top = t.host().cgroup_of(container.pid()?, "")?;
        for name in ["a", "a/b"] {
            let threaded = top.join(name);
            fs::create_dir(&threaded)?;
            fs::write(threaded.join("cgroup.type"), "threaded")?;
        }
        eventually("threads in it", || {
            move_some(&top, &top.join("a/b"))?;
            move_some(&top, &top.join("a"))?;
            let threads = fs::read_to_string(top.join("a/b/cgroup.threads"))?;
            Ok((!threads.is_empty()).then_some(()))
        })?;
        end(&container, &directories)?;
    }
    Ok(Passed)
}
