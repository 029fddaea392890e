//! Create, enter, freeze, kill, remove, on the kernel of this host.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not what they share")]

mod common;

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{LONG, Scratch, host, unique};
use coracle_cgroup::{
    Cgroup, CgroupPath, CgroupPaths, CgroupRoot, Error, Mode, Permissions, Resources,
};

#[test]
fn a_cgroup_is_made_in_every_hierarchy_and_removed_from_all() {
    let Some(root) = host() else { return };
    let path = unique("made");
    let expected = root.paths(&path).unwrap();
    let scratch = Scratch::of(Cgroup::create(&root, &path, Permissions::Required).unwrap());
    assert_eq!(scratch.cgroup.paths(), expected);
    let made = scratch.cgroup.created();
    for directory in scratch.directories() {
        assert!(directory.is_dir() && made.contains(&directory), "{directory:?}");
    }
    assert_eq!(expected.contains_key(""), root.mode() != Mode::Legacy);
    assert_eq!(expected.len() == 1, root.mode() == Mode::Unified);
    scratch.finish();
}

#[test]
fn a_new_cpuset_has_what_its_parent_has() {
    let Some(root) = host() else { return };
    let Some(cpuset) = root.hierarchy("cpuset").filter(|h| !h.is_v2()) else {
        return eprintln!("SKIPPED: no cpuset of v1");
    };
    let scratch = Scratch::new(&root, "cpuset/below");
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let top = std::fs::read_to_string(cpuset.mount_point().join(file)).unwrap();
        assert_eq!(scratch.read("cpuset", file, file), top.trim());
    }
    let above: Vec<_> =
        scratch.directories().iter().map(|d| d.parent().unwrap().to_owned()).collect();
    assert!(above.iter().all(|directory| scratch.cgroup.created().contains(directory)));
    scratch.finish();
    above.iter().for_each(|directory| std::fs::remove_dir(directory).unwrap());
}

#[test]
fn a_process_enters_by_itself() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "entry");
    let entry = scratch.cgroup.entry().unwrap();
    if let Some(unified) = &entry.unified {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", unified.as_raw_fd())).unwrap();
        assert_eq!(link, scratch.cgroup.paths()[""]);
    }
    assert!(entry.tasks.iter().chain(&entry.unified).all(|fd| {
        rustix::io::fcntl_getfd(fd.as_fd()).unwrap().contains(rustix::io::FdFlags::CLOEXEC)
    }));
    if entry.tasks.is_empty() {
        return eprintln!("SKIPPED: no hierarchy of v1");
    }
    let inherited: Vec<_> = entry.tasks.iter().map(|fd| rustix::io::dup(fd).unwrap()).collect();
    let numbers: Vec<_> = inherited.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let script = "for fd; do echo 0 > /proc/self/fd/$fd; done; cat /proc/self/cgroup";
    let output = Command::new("bash").args(["-c", script, "-"]).args(numbers).output().unwrap();
    drop(inherited);
    let memberships = String::from_utf8(output.stdout).unwrap();
    let in_it = memberships.lines().filter(|line| line.ends_with("-entry")).count();
    assert_eq!(in_it, entry.tasks.len(), "{memberships}");
    scratch.finish();
}

#[test]
fn a_cgroup_in_use_is_refused_and_left_alone() {
    let Some(root) = host() else { return };
    let path = unique("used");
    let mut scratch = Scratch::of(Cgroup::create(&root, &path, Permissions::Required).unwrap());
    let pid = scratch.spawn("exec sleep 1000");
    let error = Cgroup::create(&root, &path, Permissions::Required).unwrap_err();
    assert!(matches!(error, Error::NotEmpty { processes: 1, .. }), "{error}");
    let below = CgroupPath::new(format!("{}/x", scratch_name(&scratch, &root))).unwrap();
    drop(Cgroup::create(&root, &below, Permissions::Required).unwrap());
    assert_eq!(scratch.cgroup.pids(true).unwrap(), [pid]);
    let error = scratch.cgroup.remove(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, Error::Timeout { action: "remove", processes: 1, .. }), "{error}");
    scratch.cgroup.kill(LONG).unwrap();
    scratch.reap();

    // Once it is empty it may be taken over, but not frozen.
    let again = Cgroup::create(&root, &path, Permissions::Required).unwrap();
    assert!(again.created().is_empty());
    scratch.cgroup.freeze(LONG).unwrap();
    for path in [&path, &below] {
        let error = Cgroup::create(&root, path, Permissions::Required).unwrap_err();
        assert!(matches!(error, Error::Frozen { .. }), "{error}");
    }
    let new = CgroupPath::new(format!("{}/new", scratch_name(&scratch, &root))).unwrap();
    assert!(Cgroup::create(&root, &new, Permissions::Required).is_err());
    assert!(root.paths(&new).unwrap().values().all(|directory| !directory.exists()));
    scratch.cgroup.thaw().unwrap();
    scratch.finish();
}

/// The path of a cgroup below the mount points.
fn scratch_name(scratch: &Scratch, root: &CgroupRoot) -> String {
    let hierarchy = &root.hierarchies()[0];
    let mut directories = scratch.directories().into_iter();
    let name =
        directories.find_map(|d| Some(d.strip_prefix(hierarchy.mount_point()).ok()?.to_owned()));
    format!("/{}", name.unwrap().display())
}

#[test]
fn frozen_processes_do_not_run() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "freeze");
    scratch.spawn("while :; do :; done");
    let used = || scratch.cgroup.stats().unwrap().cpu.unwrap().usage;
    assert!(!scratch.cgroup.frozen().unwrap());
    for _ in 0..10 {
        scratch.cgroup.freeze(LONG).unwrap();
        assert!(scratch.cgroup.frozen().unwrap());
        let before = used();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(used(), before);
        scratch.cgroup.thaw().unwrap();
        assert!(!scratch.cgroup.frozen().unwrap());
        let deadline = Instant::now() + LONG;
        while used() == before {
            assert!(Instant::now() < deadline, "runs no more");
        }
    }
    // A record is enough to find a frozen cgroup and to end it.
    scratch.cgroup.freeze(LONG).unwrap();
    let opened = Cgroup::open(&scratch.cgroup.paths()).unwrap();
    assert!(opened.frozen().unwrap());
    opened.kill(LONG).unwrap();
    assert!(opened.pids(true).unwrap().is_empty());
    scratch.finish();
}

#[test]
fn everything_dies_however_it_forks() {
    let Some(root) = host() else { return };
    const FORKS: &str = "while :; do (while :; do sleep 1000 & (sleep 1000; :) & done) & done";
    for round in 0..30 {
        let mut scratch = Scratch::new(&root, "forks");
        let limit = Resources { pids: Some(150), ..Resources::default() };
        scratch.cgroup.set(&limit, Permissions::Required).unwrap();
        scratch.spawn(FORKS);
        std::thread::sleep(Duration::from_millis(round * 3));
        let victim = match round % 3 {
            0 => Cgroup::open(&scratch.cgroup.paths()).unwrap(),
            1 => {
                // Whether it freezes or not, it must die.
                drop(scratch.cgroup.freeze(Duration::from_millis(200)));
                Cgroup::open(&scratch.cgroup.paths()).unwrap()
            }
            // The way of old kernels: without cgroup.kill.
            _ => Cgroup::open(&without_unified(scratch.cgroup.paths())).unwrap(),
        };
        let start = Instant::now();
        victim.kill(LONG).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(scratch.cgroup.pids(true).unwrap(), [0_u32; 0], "round {round}");
        assert!(start.elapsed() < Duration::from_secs(5));
        scratch.finish();
    }
}

fn without_unified(paths: CgroupPaths) -> CgroupPaths {
    match paths.len() {
        1 => paths,
        _ => paths.into_iter().filter(|(name, _)| !name.is_empty()).collect(),
    }
}

#[test]
fn sub_cgroups_die_frozen_or_not_and_go_however_deep() {
    let Some(root) = host() else { return };
    let mut scratch = Scratch::new(&root, "nested");
    scratch.spawn("exec sleep 1000");
    for directory in scratch.directories() {
        let top = std::fs::File::open(&directory).unwrap();
        let mut parent = rustix::io::dup(&top).unwrap();
        let (name, depth) =
            if directory.ends_with("pids") { ("dir", 5) } else { ("directory", 60) };
        for _ in 0..depth {
            rustix::fs::mkdirat(&parent, name, rustix::fs::Mode::RWXU).unwrap();
            parent = rustix::fs::openat(
                &parent,
                name,
                rustix::fs::OFlags::DIRECTORY,
                rustix::fs::Mode::empty(),
            )
            .unwrap();
        }
        std::fs::create_dir(directory.join("beside")).unwrap();
        let state = directory.join("beside/freezer.state");
        if state.exists() {
            std::fs::write(state, "FROZEN").unwrap();
        }
        let kind = directory.join("beside/cgroup.type");
        if kind.exists() {
            std::fs::create_dir(directory.join("beside/threaded")).unwrap();
            std::fs::write(directory.join("beside/threaded/cgroup.type"), "threaded").unwrap();
        }
    }
    // A process in the frozen sub-cgroup.
    let child = scratch.spawn("exec sleep 1000");
    for directory in scratch.directories() {
        let procs = directory.join("beside/cgroup.procs");
        if !directory.starts_with("/sys/fs/cgroup/cpuset") {
            std::fs::write(procs, child.to_string()).unwrap();
        }
    }
    assert!(scratch.cgroup.pids(false).unwrap().len() < scratch.cgroup.pids(true).unwrap().len());
    scratch.finish();
}

#[test]
fn a_tree_deeper_than_any_path_is_removed() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "deep");
    let directory = scratch.directories().pop().unwrap();
    let mut parent =
        rustix::fs::open(&directory, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
            .unwrap();
    let mut depth = 0;
    while depth < 1000 {
        if rustix::fs::mkdirat(&parent, "a-long-name", rustix::fs::Mode::RWXU).is_err() {
            break;
        }
        let flags = rustix::fs::OFlags::DIRECTORY;
        parent =
            rustix::fs::openat(&parent, "a-long-name", flags, rustix::fs::Mode::empty()).unwrap();
        depth += 1;
    }
    eprintln!("{depth} levels");
    drop(parent);
    scratch.finish();
}

#[test]
fn a_parent_with_processes_gives_no_controllers() {
    let Some(root) = host().filter(|root| root.mode() == Mode::Unified) else {
        return eprintln!("SKIPPED: needs cgroup v2 alone");
    };
    let mut parent = Scratch::new(&root, "parent");
    parent.spawn("exec sleep 1000");
    let path = CgroupPath::new(format!("{}/child", scratch_name(&parent, &root))).unwrap();
    let child = Cgroup::create(&root, &path, Permissions::Required).unwrap();
    let skipped = child.skipped();
    assert!(skipped.iter().any(|skipped| skipped.controller == "memory"), "{skipped:?}");
    let memory = coracle_cgroup::Memory { limit: Some(1 << 28), ..Default::default() };
    let limit = Resources { memory, ..Resources::default() };
    let error = child.set(&limit, Permissions::Required).unwrap_err().to_string();
    let named = "cannot set memory.max: controller memory is not available: ";
    assert!(error.starts_with(named), "{error}");
    assert!(error.contains("move them to a sub-cgroup"), "{error}");
    assert_eq!(child.set(&limit, Permissions::BestEffort).unwrap().len(), 1);

    // What it can give are the controllers of threaded cgroups, which the new one then is.
    let kind = std::fs::read_to_string(child.paths()[""].join("cgroup.type")).unwrap();
    assert_eq!(kind.trim(), "threaded");
    let limit = Resources { pids: Some(5), ..Resources::default() };
    child.set(&limit, Permissions::Required).unwrap();
    let mut child = Scratch::of(child);
    child.spawn("exec sleep 1000");
    child.finish();

    // As soon as they are gone it does, and a controller can be lost again.
    parent.cgroup.kill(LONG).unwrap();
    parent.reap();
    let child = Cgroup::create(&root, &path, Permissions::Required).unwrap();
    assert!(child.skipped().is_empty());
    child.set(&limit, Permissions::Required).unwrap();
    std::fs::write(parent.directories()[0].join("cgroup.subtree_control"), "-pids").unwrap();
    let error = child.set(&limit, Permissions::Required).unwrap_err();
    assert!(matches!(error, Error::MissingController { .. }), "{error}");
    assert_eq!(child.stats().unwrap().pids, None);
    parent.finish();
}

#[test]
fn a_mount_over_the_others_hides_them() {
    let Some(root) = host().filter(|root| root.mode() == Mode::Hybrid) else {
        return eprintln!("SKIPPED: needs v1 and v2");
    };
    let program = std::env::current_exe().unwrap();
    let script = format!(
        "mount -t cgroup2 none /sys/fs/cgroup && exec {} --exact sees_v2_alone --ignored",
        program.display()
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{root:?}: {output:?}");
}

#[test]
#[ignore = "run by a_mount_over_the_others_hides_them"]
fn sees_v2_alone() {
    if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        let root = CgroupRoot::discover().unwrap();
        assert_eq!(root.mode(), Mode::Unified);
        assert_eq!(root.hierarchies()[0].mount_point().to_str(), Some("/sys/fs/cgroup"));
    }
}

/// Run as a user to whom a cgroup was delegated, this needs no root at all.
#[test]
fn a_user_limits_what_was_delegated() {
    if rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: needs to run as a user with a delegated cgroup");
    }
    let root = CgroupRoot::discover().unwrap();
    let path = CgroupPath::new(format!("coracle-user-{}", std::process::id())).unwrap();
    let cgroup = match Cgroup::create(&root, &path, Permissions::Required) {
        Ok(cgroup) => cgroup,
        Err(error) => return eprintln!("SKIPPED: {error}"),
    };
    eprintln!("{:?}, skipped {:?}", cgroup.paths(), cgroup.skipped());
    let mut scratch = Scratch::of(cgroup);
    let limit = Resources { pids: Some(5), ..Resources::default() };
    scratch.cgroup.set(&limit, Permissions::Required).unwrap();
    assert_eq!(scratch.read("pids", "pids.max", "pids.max"), "5");
    let devices = vec![coracle_cgroup::DeviceRule::DENY_ALL];
    let devices = Resources { devices, ..Resources::default() };
    let error = scratch.cgroup.set(&devices, Permissions::Required).unwrap_err();
    assert!(error.is_permission(), "{error}");
    assert_eq!(scratch.cgroup.set(&devices, Permissions::BestEffort).unwrap().len(), 1);
    scratch.spawn("exec sleep 1000");
    scratch.finish();
}

#[test]
fn what_somebody_removed_is_gone() {
    let Some(root) = host() else { return };
    let scratch = Scratch::new(&root, "gone");
    let opened = Cgroup::open(&scratch.cgroup.paths()).unwrap();
    opened.stats().unwrap();
    for directory in scratch.directories() {
        std::fs::remove_dir(directory).unwrap();
    }
    let limit = Resources { pids: Some(5), ..Resources::default() };
    for cgroup in [&opened, &Cgroup::open(&opened.paths()).unwrap(), &scratch.cgroup] {
        let is_gone = |error: Error| assert!(matches!(error, Error::Gone { .. }), "{error}");
        is_gone(cgroup.set(&limit, Permissions::Required).unwrap_err());
        is_gone(cgroup.set(&limit, Permissions::BestEffort).unwrap_err());
        is_gone(cgroup.stats().unwrap_err());
        is_gone(cgroup.pids(true).unwrap_err());
        is_gone(cgroup.frozen().unwrap_err());
        is_gone(cgroup.add(std::process::id()).unwrap_err());
        assert!(!cgroup.exists());
        cgroup.kill(LONG).unwrap();
        cgroup.remove(LONG).unwrap();
    }
}

#[test]
fn the_root_of_a_hierarchy_is_never_touched() {
    let Some(root) = host() else { return };
    for hierarchy in root.hierarchies() {
        let name = if hierarchy.is_v2() { "" } else { hierarchy.controllers()[0].as_str() };
        let paths = CgroupPaths::from([(name.to_owned(), hierarchy.mount_point().to_owned())]);
        let cgroup = Cgroup::open(&paths).unwrap();
        let is_refused =
            |error: Error| assert!(matches!(error, Error::InvalidPath { .. }), "{error}");
        is_refused(cgroup.kill(LONG).unwrap_err());
        is_refused(cgroup.remove(LONG).unwrap_err());
        is_refused(cgroup.pids(true).unwrap_err());
        is_refused(cgroup.add(std::process::id()).unwrap_err());
    }
}

#[test]
fn without_permission_one_goes_without() {
    if host().is_none() {
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "as_nobody", "--ignored", "--nocapture"])
        .uid(65534)
        .gid(65534)
        .output();
    match output {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => eprintln!("SKIPPED: nobody cannot run this program: {error}"),
    }
}

#[test]
#[ignore = "run by without_permission_one_goes_without"]
fn as_nobody() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let root = CgroupRoot::discover().unwrap();
    let path = unique("nobody");
    let error = Cgroup::create(&root, &path, Permissions::Required).unwrap_err();
    assert!(matches!(error, Error::Create { .. }) && error.is_permission(), "{error}");
    assert!(error.to_string().contains("delegated"), "{error}");

    let cgroup = Cgroup::create(&root, &path, Permissions::BestEffort).unwrap();
    assert!(cgroup.paths().is_empty() && !cgroup.exists());
    assert!(cgroup.skipped().len() >= root.hierarchies().len());
    cgroup.entry().unwrap();
    let limit = Resources { pids: Some(5), ..Resources::default() };
    let error = cgroup.set(&limit, Permissions::Required).unwrap_err().to_string();
    assert!(error.contains("controller pids is not available: cannot create"), "{error}");
    let skipped = cgroup.set(&limit, Permissions::BestEffort).unwrap();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    cgroup.kill(LONG).unwrap();
    cgroup.remove(LONG).unwrap();
}
