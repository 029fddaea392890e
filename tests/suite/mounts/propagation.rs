//! Whether mounts pass between the container and the host, where every mount is shared.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, host_mounts, tests};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{at, mapped, mounts_in};

pub const TESTS: &[Test] = tests![
    sets_the_propagation_of_a_mount,
    sets_the_propagation_of_all_mounts_below,
    sets_the_propagation_of_the_root,
    keeps_mounts_of_the_container_from_the_host,
    lets_mounts_of_the_host_into_a_slave,
    keeps_mounts_of_the_host_from_a_private_mount,
    lets_mounts_out_of_a_shared_mount,
];

/// As mountinfo shows it, without the numbers.
fn kind(propagation: &[String]) -> Vec<&str> {
    propagation.iter().map(|word| word.split(':').next().unwrap_or_default()).collect()
}

fn sets_the_propagation_of_a_mount(t: &mut Context) -> Result<Verdict> {
    let source = t.path("source");
    fs::create_dir(&source)?;
    let expected: [(&[&str], &str); 5] = [
        (&["private"], ""),
        (&["slave"], "master"),
        (&["shared"], "shared"),
        (&["unbindable"], "unbindable"),
        (&["slave", "shared"], "shared master"),
    ];
    let mut bundle = t.bundle()?;
    for (number, (words, _)) in expected.iter().enumerate() {
        let options = [&["bind"][..], words].concat();
        let target = format!("/mnt/{number}");
        bundle = bundle.mount(&target, "bind", &source.to_string_lossy(), &options);
    }
    let mounts = mounts_in(t, bundle)?;
    for (number, (words, shown)) in expected.iter().enumerate() {
        let mount = at(&mounts, &format!("/mnt/{number}"))?;
        let seen = kind(&mount.propagation).join(" ");
        check!(seen.starts_with(shown), "{words:?} should show {shown:?}: {mount:?}");
        check!(!shown.is_empty() || seen.is_empty(), "{words:?} should show nothing: {mount:?}");
    }
    Ok(Passed)
}

fn sets_the_propagation_of_all_mounts_below(t: &mut Context) -> Result<Verdict> {
    let source = t.path("source");
    fs::create_dir_all(&source)?;
    mount("top", &source, "tmpfs", MountFlags::empty(), None)?;
    fs::create_dir(source.join("below"))?;
    mount("below", source.join("below"), "tmpfs", MountFlags::empty(), None)?;
    let path = source.to_string_lossy();
    let bundle = t.bundle()?.mount("/mnt/p", "bind", &path, &["rbind", "rprivate"]);
    let bundle = bundle.mount("/mnt/s", "bind", &path, &["rbind", "rslave"]);
    let bundle = bundle.mount("/mnt/h", "bind", &path, &["rbind", "rshared"]);
    let mounts = mounts_in(t, bundle)?;
    for (name, shown) in [("p", ""), ("s", "master"), ("h", "shared")] {
        for target in [format!("/mnt/{name}"), format!("/mnt/{name}/below")] {
            let mount = at(&mounts, &target)?;
            check!(kind(&mount.propagation).join("").starts_with(shown), "{mount:?}");
            check!(!shown.is_empty() || mount.propagation.is_empty(), "{mount:?}");
        }
    }
    unmount(source, UnmountFlags::DETACH)?;
    Ok(Passed)
}

fn sets_the_propagation_of_the_root(t: &mut Context) -> Result<Verdict> {
    let all = [
        ("private", ""),
        ("rprivate", ""),
        ("slave", "master"),
        ("rslave", "master"),
        ("shared", "shared"),
        ("rshared", "shared"),
        ("unbindable", "unbindable"),
    ];
    for (word, shown) in all {
        let bundle = t.bundle()?.set("/linux/rootfsPropagation", word);
        let mounts = mounts_in(t, bundle)?;
        let root = at(&mounts, "/")?;
        check!(kind(&root.propagation).join(" ").starts_with(shown), "{word}: {root:?}");
        check!(!shown.is_empty() || root.propagation.is_empty(), "{word}: {root:?}");
    }
    let bundle = t.bundle()?.set("/linux/rootfsPropagation", "sideways");
    t.run(&bundle)?.refused(&["/linux/rootfsPropagation", "sideways"])?;
    Ok(Passed)
}

/// The audit compares the host's mounts; here the container is still there.
fn keeps_mounts_of_the_container_from_the_host(t: &mut Context) -> Result<Verdict> {
    let before = host_mounts()?;
    fs::create_dir_all(t.path("volume/in"))?;
    let volume = t.path("volume").to_string_lossy().into_owned();
    for bundle in [t.bundle()?, mapped(t.bundle()?)] {
        let bundle = bundle.capabilities(&["CAP_SYS_ADMIN"]);
        let bundle = bundle.mount("/home", "bind", &volume, &["bind"]);
        let script = "mount -t tmpfs inside /mnt && mount -t tmpfs inside /home/in && echo mounted
            sleep 1000";
        let container = t.start(&bundle.script(script))?;
        container.wait_for("mounted")?;
        check_eq!(host_mounts()?, before);
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn lets_mounts_of_the_host_into_a_slave(t: &mut Context) -> Result<Verdict> {
    check_eq!(host_mount_is_seen(t, "rslave")?, true);
    check_eq!(host_mount_is_seen(t, "rshared")?, true);
    Ok(Passed)
}

fn keeps_mounts_of_the_host_from_a_private_mount(t: &mut Context) -> Result<Verdict> {
    check_eq!(host_mount_is_seen(t, "rprivate")?, false);
    Ok(Passed)
}

/// Whether a container sees what the host mounts in a directory that it has, later.
fn host_mount_is_seen(t: &Context, option: &str) -> Result<bool> {
    let shared = t.path(&format!("shared-{option}"));
    fs::create_dir_all(shared.join("later"))?;
    let source = shared.to_string_lossy().into_owned();
    let bundle = t.bundle()?.mount("/mnt", "bind", &source, &["rbind", option]);
    let script = "echo ready; read line < /mnt/fifo; ls /mnt/later";
    rustix::fs::mkfifoat(rustix::fs::CWD, shared.join("fifo"), 0o666.into())?;
    let container = t.start(&bundle.script(script))?;
    container.wait_for("ready")?;
    mount("later", shared.join("later"), "tmpfs", MountFlags::empty(), None)?;
    fs::write(shared.join("later/seen"), "")?;
    fs::write(shared.join("fifo"), "go\n")?;
    let seen = container.finish()?.contains("seen");
    unmount(shared.join("later"), UnmountFlags::DETACH)?;
    Ok(seen)
}

fn lets_mounts_out_of_a_shared_mount(t: &mut Context) -> Result<Verdict> {
    let shared = t.path("shared");
    fs::create_dir_all(shared.join("in"))?;
    let source = shared.to_string_lossy().into_owned();
    let bundle = t.bundle()?.capabilities(&["CAP_SYS_ADMIN"]);
    let bundle = bundle.set("/linux/rootfsPropagation", "rshared");
    let bundle = bundle.mount("/mnt", "bind", &source, &["rbind", "rshared"]);
    let script = "mount -t tmpfs inside /mnt/in && echo mounted; sleep 1000";
    let container = t.start(&bundle.script(script))?;
    container.wait_for("mounted")?;
    let mounts = host_mounts()?;
    check_eq!(at(&mounts, &shared.join("in").to_string_lossy())?.source, "inside");
    unmount(shared.join("in"), UnmountFlags::DETACH)?;
    container.delete_forcibly()?;
    Ok(Passed)
}
