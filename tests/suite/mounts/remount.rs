//! `remount`, and file systems that want more than fsconfig(2) can say.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, need, tests};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use super::{at, check_flags, mounts_in};

pub const TESTS: &[Test] = tests![
    changes_one_mount_and_no_other,
    changes_the_file_system,
    changes_mounts_without_newer_calls,
    changes_nothing_that_is_not_mounted,
    keeps_what_a_user_may_not_lower,
    mounts_layers_with_odd_and_long_names,
    reads_a_device_that_may_not_be_written,
];

fn changes_one_mount_and_no_other(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/mnt/a", "tmpfs", "shown", &["nosuid"]);
    let bundle = bundle.mount("/mnt/b", "bind", "rootfs/mnt/a", &["bind", "noexec"]);
    let bundle = bundle.mount("/mnt/b", "none", "", &["remount", "bind", "ro", "exec", "rprivate"]);
    let mounts = mounts_in(t, bundle)?;
    check_flags(at(&mounts, "/mnt/a")?, &["nosuid"])?;
    // What is not named stays.
    check_flags(at(&mounts, "/mnt/b")?, &["ro", "nosuid"])?;
    check!(at(&mounts, "/mnt/b")?.driver_has("rw"));
    Ok(Passed)
}

fn changes_the_file_system(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/mnt/a", "tmpfs", "shown", &["size=1m"]);
    let bundle = bundle.mount("/mnt/b", "bind", "rootfs/mnt/a", &["bind"]);
    let options = ["remount", "size=2m", "ro", "nodev"];
    let bundle = bundle.mount("/mnt/a", "none", "", &options);
    let bundle = bundle.mount("/proc", "proc", "proc", &["remount", "hidepid=2"]);
    let mounts = mounts_in(t, bundle)?;
    let (a, b) = (at(&mounts, "/mnt/a")?, at(&mounts, "/mnt/b")?);
    check_flags(a, &["ro", "nodev"])?;
    check!(a.driver_has("size=2048k") && a.driver_has("ro"), "{a:?}");
    check!(b.driver_has("ro") && b.has("rw"), "{b:?}");
    let proc = at(&mounts, "/proc")?;
    check!(proc.driver_has("hidepid=invisible") || proc.driver_has("hidepid=2"), "{proc:?}");
    Ok(Passed)
}

fn changes_mounts_without_newer_calls(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "it is about our own calls");
    let bundle = t.bundle()?.mount("/mnt/a", "tmpfs", "shown", &["nosuid", "noexec"]);
    let bundle = bundle.mount("/mnt/a", "none", "", &["remount", "bind", "ro", "exec"]);
    let bundle = bundle.args(&["cat", "/proc/self/mountinfo"]);
    let output = t.run_with(&bundle, &[])?.without_call("mount_setattr").run()?.expect(0)?;
    let mounts = coracle_testkit::parse_mountinfo(&output.stdout)?;
    check_flags(at(&mounts, "/mnt/a")?, &["ro", "nosuid"])?;
    Ok(Passed)
}

fn changes_nothing_that_is_not_mounted(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others have other words for it");
    for options in [&["remount", "ro"][..], &["remount", "bind", "ro"]] {
        let bundle = t.bundle()?.mount("/etc", "none", "", options);
        t.run(&bundle)?.refused(&["/mounts/7", "/etc", "nothing is mounted there"])?;
    }
    let bundle = t.bundle()?.mount("/no/such", "none", "", &["remount", "ro"]);
    t.run(&bundle)?.refused(&["/mounts/7", "/no/such", "ENOENT"])?;
    let bundle = t.bundle()?.mount("/dev/shm", "none", "", &["remount", "nonsense=1"]);
    t.run(&bundle)?.refused(&["/mounts/7", "/dev/shm", "nonsense"])?;
    Ok(Passed)
}

/// The flags of the host's mounts are locked in a user namespace, and may be kept by not naming them.
fn keeps_what_a_user_may_not_lower(t: &mut Context) -> Result<Verdict> {
    let source = t.path("source");
    fs::create_dir(&source)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    mount("source", &source, "tmpfs", flags, None)?;
    let path = source.to_string_lossy().into_owned();
    let rootless = || -> Result<_> {
        let bundle = crate::rootless::bundle(t)?;
        fs::create_dir_all(bundle.rootfs().join("mnt/x"))?;
        Ok(bundle.mount("/mnt/x", "bind", &path, &["rbind"]))
    };
    let bundle = rootless()?.mount("/mnt/x", "none", "", &["remount", "bind", "ro", "nosuid"]);
    let bundle = bundle.args(&["cat", "/proc/self/mountinfo"]);
    let output = t.as_user(t.run_with(&bundle, &[])?).run()?.expect(0)?;
    let mounts = coracle_testkit::parse_mountinfo(&output.stdout)?;
    let mounted = at(&mounts, "/mnt/x")?;
    check_flags(mounted, &["ro", "nosuid", "nodev", "noexec"])?;
    check!(mounted.has("noatime"), "{mounted:?}");
    let lower = rootless()?.mount("/mnt/x", "none", "", &["remount", "bind", "exec"]);
    t.as_user(t.run_with(&lower, &[])?).run()?.refused(&["/mnt/x", "EPERM"])?;
    let filesystem = rootless()?.mount("/mnt/x", "none", "", &["remount", "ro"]);
    let output = t.as_user(t.run_with(&filesystem, &[])?).run()?;
    output.refused(&["/mnt/x", "not the container's", "EPERM"])?;
    unmount(source, UnmountFlags::DETACH)?;
    Ok(Passed)
}

fn mounts_layers_with_odd_and_long_names(t: &mut Context) -> Result<Verdict> {
    let layers = t.path("layers");
    fs::create_dir(&layers)?;
    // overlayfs does not take its own kind as the upper layer.
    mount("layers", &layers, "tmpfs", MountFlags::empty(), None)?;
    let long = format!("long-{}", "x".repeat(200));
    let names = ["a,b", "c:d", long.as_str(), "e"];
    for name in names {
        fs::create_dir(layers.join(name))?;
        fs::write(layers.join(name).join(&name[..1]), format!("{}\n", &name[..1]))?;
    }
    fs::create_dir(layers.join("upper"))?;
    fs::create_dir(layers.join("work"))?;
    let path = |name: &str| {
        let name = name.replace(',', "\\,").replace(':', "\\:");
        layers.join(name).to_string_lossy().into_owned()
    };
    let few = format!("lowerdir={}:{}", path("a,b"), path("c:d"));
    let all = format!("lowerdir={}", names.map(path).join(":"));
    check!(all.len() > 256);
    let [upper, work] = ["upper", "work"].map(|dir| format!("{dir}dir={}", path(dir)));
    let bundle = t.bundle()?.mount("/mnt/few", "overlay", "overlay", &[&few]);
    let bundle = bundle.mount("/mnt/all", "overlay", "overlay", &[&all, &upper, &work, "nosuid"]);
    let script = "cat /mnt/few/? /mnt/all/?; touch /mnt/all/new; cat /proc/self/mountinfo";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines()[..6], ["a", "c", "a", "c", "e", "l"]);
    let mounts = coracle_testkit::parse_mountinfo(&output.lines()[6..].join("\n"))?;
    check_flags(at(&mounts, "/mnt/all")?, &["nosuid"])?;
    // Nothing is left of the way there.
    check_eq!(mounts.iter().filter(|mount| mount.target.starts_with("/mnt/all")).count(), 1);
    check!(layers.join("upper/new").exists());
    unmount(layers, UnmountFlags::DETACH)?;
    Ok(Passed)
}

fn reads_a_device_that_may_not_be_written(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("mkfs.ext4"), "no mkfs.ext4");
    let image = t.path("image");
    fs::File::create(&image)?.set_len(1 << 20)?;
    coracle_testkit::Cmd::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).succeed()?;
    let attach = coracle_testkit::Cmd::new("losetup").args(["-r", "--show", "-f"]).arg(&image);
    let attached = attach.run()?;
    need!(attached.code() == 0, "no loop devices: {}", attached.stderr.trim());
    let device = attached.text().to_owned();
    let bundle = t.bundle()?.mount("/mnt/x", "ext4", &device, &["ro"]);
    let rule = json!({"allow": true, "type": "b", "major": 7, "access": "r"});
    let bundle = bundle.push("/linux/resources/devices", rule);
    let output = t.run(&bundle.script("ls -d /mnt/x/lost+found"));
    coracle_testkit::Cmd::new("losetup").arg("-d").arg(&device).succeed()?;
    output?.expect(0)?;
    Ok(Passed)
}
