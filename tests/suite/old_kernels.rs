//! Kernels, and seccomp filters of whoever runs us, that lack a system call.

use std::fs;
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, MountEntry, Result, Suite, Test, Verdict, check_eq, need, parse_mountinfo,
    tests,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

pub fn add_to(suite: Suite) -> Suite {
    suite.group("old_kernels", TESTS)
}

const TESTS: &[Test] = tests![
    says_which_kernel_it_needs,
    closes_descriptors_without_close_range,
    changes_mounts_without_mount_setattr,
    never_leaves_out_a_mount_that_it_cannot_reach,
];

/// Those without which no container runs.
const NEEDED: [&str; 5] = ["openat2", "clone3", "fsopen", "move_mount", "open_tree"];

fn says_which_kernel_it_needs(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "other runtimes have other needs");
    for call in NEEDED {
        let run = t.run_with(&t.bundle()?, &[])?.without_call(call);
        run.run()?.refused(&[call, "ENOSYS", "needs Linux 5."])?;
    }
    // The one that old profiles of container managers hide.
    let run = t.run_with(&t.bundle()?, &[])?.without_call("clone3");
    run.run()?.refused(&["clone3", "seccomp=unconfined"])?;
    let container = t.start(&t.bundle()?.args(&["sleep", "100"]))?;
    let kill = container.command("kill", &[]).without_call("pidfd_open");
    kill.run()?.refused(&["pidfd_open", "ENOSYS", "needs Linux 5.3"])?;
    container.delete_forcibly()?;
    Ok(Passed)
}

fn closes_descriptors_without_close_range(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.script("ls -C /proc/self/fd");
    let run = t.run_with(&bundle, &["--preserve-fds", "1"])?.without_call("close_range");
    let output = run.after("exec 3</dev/null 4</dev/null 9</dev/null").run()?.expect(0)?;
    // 4 is the list itself.
    check_eq!(output.text().split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
    Ok(Passed)
}

/// A tmpfs with another one below.
fn tree(t: &Context) -> Result<PathBuf> {
    let tree = t.path("tree");
    fs::create_dir(&tree)?;
    mount("tree", &tree, "tmpfs", MountFlags::NOSUID | MountFlags::NOATIME, None)?;
    fs::create_dir(tree.join("a b"))?;
    mount("below", tree.join("a b"), "tmpfs", MountFlags::NODEV, None)?;
    fs::write(tree.join("file"), "")?;
    Ok(tree)
}

/// What this bundle's container sees of its mounts in `/mnt`, in lines that are the same each time.
fn mounts(t: &Context, bundle: &Bundle, without: Option<&str>) -> Result<Vec<String>> {
    let run = t.run_with(&bundle.clone().args(&["cat", "/proc/self/mountinfo"]), &[])?;
    let run = without.into_iter().fold(run, |run, call| run.without_call(call));
    let found = parse_mountinfo(&run.run()?.expect(0)?.stdout)?;
    let line = |mount: &MountEntry| {
        let kinds = mount.propagation.iter().map(|word| word.split(':').next().unwrap_or_default());
        format!("{} {} {:?}", mount.target, mount.options.join(","), kinds.collect::<Vec<_>>())
    };
    let mut lines: Vec<_> = found.iter().map(line).collect();
    lines.sort();
    Ok(lines)
}

fn changes_mounts_without_mount_setattr(t: &mut Context) -> Result<Verdict> {
    let tree = tree(t)?;
    let source = tree.to_string_lossy().into_owned();
    let file = tree.join("file").to_string_lossy().into_owned();
    let bundle = t.bundle()?.set("/root/readonly", true);
    for propagation in ["private", "shared", "slave"] {
        let bundle = bundle.clone().set("/linux/rootfsPropagation", propagation);
        let bundle = bundle
            .mount("/mnt/plain", "bind", &source, &["rbind"])
            .mount("/mnt/all", "bind", &source, &["rbind", "rro", "rnoexec", "suid", "noatime"])
            .mount("/mnt/one", "bind", &source, &["rbind", "ro", "strictatime", "nosymfollow"])
            .mount("/mnt/shared", "bind", &source, &["rbind", "rshared"])
            .mount("/mnt/file", "bind", &file, &["bind", "ro", "nodiratime"])
            .mount("/mnt/new", "tmpfs", "tmpfs", &["nosymfollow", "noexec", "unbindable"]);
        check_eq!(mounts(t, &bundle, Some("mount_setattr"))?, mounts(t, &bundle, None)?);
    }
    unmount(tree, UnmountFlags::DETACH)?;
    Ok(Passed)
}

fn never_leaves_out_a_mount_that_it_cannot_reach(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other words for it");
    let tree = tree(t)?;
    mount("cover", tree.join("a b"), "tmpfs", MountFlags::empty(), None)?;
    let source = tree.to_string_lossy();
    let bundle = t.bundle()?.mount("/mnt/all", "bind", &source, &["rbind", "rro"]);
    let run = t.run_with(&bundle, &[])?.without_call("mount_setattr").run()?;
    run.refused(&["mount_setattr", "a b", "needs Linux 5.12"])?;
    unmount(tree, UnmountFlags::DETACH)?;
    Ok(Passed)
}
