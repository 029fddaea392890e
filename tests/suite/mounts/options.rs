//! `/mounts/*/options`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, check_has, need, tests};
use rustix::mount::{MountFlags, mount};

use super::{at, check_flags, mounts_in};
use crate::rootless;

pub const TESTS: &[Test] = tests![
    sets_every_flag,
    clears_every_flag,
    keeps_the_flags_of_the_source,
    sets_access_times,
    the_last_word_wins,
    binds_one_mount_or_all_below,
    changes_all_mounts_below,
    the_flags_have_an_effect,
    configures_file_systems,
    refuses_what_the_driver_refuses,
    refuses_words_for_the_driver_on_a_bind_mount,
    refuses_words_that_would_have_no_effect,
    copies_into_a_tmpfs,
];

/// A tmpfs with these flags, somewhere on the host; with a file in it. It is unmounted with the test.
fn source(t: &Context, name: &str, flags: MountFlags) -> Result<PathBuf> {
    let path = t.path(name);
    fs::create_dir(&path)?;
    mount("source", &path, "tmpfs", flags & !MountFlags::RDONLY, None)?;
    fs::write(path.join("file"), "content\n")?;
    if flags.contains(MountFlags::RDONLY) {
        rustix::mount::mount_remount(&path, MountFlags::BIND | flags, "")?;
    }
    Ok(path)
}

fn unmount(path: PathBuf) -> Result<()> {
    Ok(rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH)?)
}

fn sets_every_flag(t: &mut Context) -> Result<Verdict> {
    let source = source(t, "source", MountFlags::empty())?;
    let path = source.to_string_lossy();
    let flags = ["ro", "nosuid", "nodev", "noexec", "nosymfollow"];
    let mut bundle = t.bundle()?.mount("/mnt/none", "bind", &path, &["bind"]);
    for flag in flags {
        let target = format!("/mnt/{flag}");
        bundle = bundle.mount(&target, "bind", &path, &["bind", flag]);
        bundle = bundle.mount(&format!("{target}-tmpfs"), "tmpfs", "tmpfs", &[flag]);
    }
    bundle = bundle.mount("/mnt/all", "bind", &path, &[&["bind"][..], &flags].concat());
    let mounts = mounts_in(t, bundle)?;
    check_flags(at(&mounts, "/mnt/none")?, &[])?;
    check_flags(at(&mounts, "/mnt/all")?, &flags)?;
    for flag in flags {
        check_flags(at(&mounts, &format!("/mnt/{flag}"))?, &[flag])?;
        check_flags(at(&mounts, &format!("/mnt/{flag}-tmpfs"))?, &[flag])?;
    }
    unmount(source)?;
    Ok(Passed)
}

const LOCKED_DOWN: MountFlags =
    MountFlags::RDONLY.union(MountFlags::NOSUID).union(MountFlags::NODEV).union(MountFlags::NOEXEC);

fn clears_every_flag(t: &mut Context) -> Result<Verdict> {
    let source = source(t, "source", LOCKED_DOWN)?;
    let path = source.to_string_lossy();
    let pairs = [("rw", "ro"), ("suid", "nosuid"), ("dev", "nodev"), ("exec", "noexec")];
    let mut bundle = t.bundle()?;
    for (word, _) in pairs {
        bundle = bundle.mount(&format!("/mnt/{word}"), "bind", &path, &["bind", word]);
    }
    let mounts = mounts_in(t, bundle)?;
    for (word, cleared) in pairs {
        let others = pairs.iter().map(|(_, flag)| *flag).filter(|flag| *flag != cleared);
        check_flags(at(&mounts, &format!("/mnt/{word}"))?, &others.collect::<Vec<_>>())?;
    }
    unmount(source)?;
    Ok(Passed)
}

fn keeps_the_flags_of_the_source(t: &mut Context) -> Result<Verdict> {
    let source = source(t, "source", LOCKED_DOWN)?;
    let path = source.to_string_lossy();
    let bundle = t.bundle()?.mount("/mnt/plain", "bind", &path, &["bind"]);
    let bundle = bundle.mount("/mnt/more", "bind", &path, &["rbind", "nosymfollow"]);
    let mounts = mounts_in(t, bundle)?;
    let kept = ["ro", "nosuid", "nodev", "noexec"];
    check_flags(at(&mounts, "/mnt/plain")?, &kept)?;
    check_flags(at(&mounts, "/mnt/more")?, &[&kept[..], &["nosymfollow"]].concat())?;
    unmount(source)?;
    Ok(Passed)
}

fn sets_access_times(t: &mut Context) -> Result<Verdict> {
    let source = source(t, "source", MountFlags::NOATIME)?;
    let path = source.to_string_lossy();
    let expected: [(&[&str], &[&str]); 8] = [
        (&[], &["noatime"]),
        (&["noatime"], &["noatime"]),
        (&["relatime"], &["relatime"]),
        (&["strictatime"], &[]),
        (&["atime"], &["relatime"]),
        (&["noatime", "nodiratime"], &["noatime", "nodiratime"]),
        (&["relatime", "nodiratime"], &["relatime", "nodiratime"]),
        (&["strictatime", "diratime"], &[]),
    ];
    let mut bundle = t.bundle()?;
    for (number, (words, _)) in expected.iter().enumerate() {
        let options = [&["bind"][..], words].concat();
        bundle = bundle.mount(&format!("/mnt/{number}"), "bind", &path, &options);
    }
    let mounts = mounts_in(t, bundle)?;
    for (number, (words, flags)) in expected.iter().enumerate() {
        let mount = at(&mounts, &format!("/mnt/{number}"))?;
        for flag in ["noatime", "relatime", "nodiratime"] {
            let wanted = flags.contains(&flag);
            check!(mount.has(flag) == wanted, "{words:?} should set {flags:?}: {mount:?}");
        }
    }
    unmount(source)?;
    Ok(Passed)
}

fn the_last_word_wins(t: &mut Context) -> Result<Verdict> {
    let words = ["ro", "rw", "noexec", "exec", "noexec", "suid", "nosuid"];
    let bundle = t.bundle()?.mount("/mnt/x", "tmpfs", "tmpfs", &words);
    check_flags(at(&mounts_in(t, bundle)?, "/mnt/x")?, &["noexec", "nosuid"])?;
    Ok(Passed)
}

/// A mount with another one below.
fn tree(t: &Context) -> Result<PathBuf> {
    let source = source(t, "tree", MountFlags::empty())?;
    let below = source.join("below");
    fs::create_dir(&below)?;
    mount("below", &below, "tmpfs", MountFlags::empty(), None)?;
    fs::write(below.join("deep"), "deep\n")?;
    Ok(source)
}

fn binds_one_mount_or_all_below(t: &mut Context) -> Result<Verdict> {
    let source = tree(t)?;
    let path = source.to_string_lossy();
    let bundle = t.bundle()?.mount("/mnt/one", "bind", &path, &["bind"]);
    let bundle = bundle.mount("/mnt/all", "none", &path, &["rbind"]);
    let bundle = bundle.mount("/mnt/type", "bind", &path, &[]);
    let output = t.run(&bundle.clone().script("cd /mnt; ls one/below type/below all/below"))?;
    check_eq!(output.expect(0)?.text(), "all/below:\ndeep\n\none/below:\n\ntype/below:");
    unmount(source)?;
    Ok(Passed)
}

fn changes_all_mounts_below(t: &mut Context) -> Result<Verdict> {
    let source = tree(t)?;
    let path = source.to_string_lossy();
    let flags = ["ro", "nosuid", "nodev", "noexec", "nosymfollow", "noatime"];
    let mut bundle = t.bundle()?;
    for flag in flags {
        let recursive = format!("r{flag}");
        bundle = bundle.mount(&format!("/mnt/{recursive}"), "bind", &path, &["rbind", &recursive]);
        bundle = bundle.mount(&format!("/mnt/{flag}"), "bind", &path, &["rbind", flag]);
    }
    let mounts = mounts_in(t, bundle)?;
    for flag in flags {
        let has = |target: String| Ok::<_, anyhow::Error>(at(&mounts, &target)?.has(flag));
        check!(has(format!("/mnt/r{flag}"))? && has(format!("/mnt/r{flag}/below"))?, "r{flag}");
        check!(has(format!("/mnt/{flag}"))? && !has(format!("/mnt/{flag}/below"))?, "{flag}");
    }
    let locked = t.path("locked");
    fs::create_dir(&locked)?;
    mount("locked", &locked, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, None)?;
    let bundle = t.bundle()?.mount(
        "/mnt/x",
        "bind",
        &locked.to_string_lossy(),
        &["rbind", "rexec", "rsuid"],
    );
    check_flags(at(&mounts_in(t, bundle)?, "/mnt/x")?, &[])?;
    unmount(locked)?;
    unmount(source)?;
    Ok(Passed)
}

fn the_flags_have_an_effect(t: &mut Context) -> Result<Verdict> {
    let source = source(t, "source", MountFlags::empty())?;
    let path = source.to_string_lossy();
    fs::copy("/bin/busybox", source.join("true"))?;
    std::os::unix::fs::symlink("file", source.join("link"))?;
    let bundle = t.bundle()?.mount("/mnt/ro", "bind", &path, &["bind", "ro"]);
    let bundle = bundle.mount("/mnt/noexec", "bind", &path, &["bind", "noexec"]);
    let bundle = bundle.mount("/mnt/nosymfollow", "bind", &path, &["bind", "nosymfollow"]);
    let bundle = bundle.mount("/mnt/plain", "bind", &path, &["bind"]);
    let script = "cd /mnt; touch ro/x; noexec/true; cat nosymfollow/link; plain/true; cat plain/link; touch plain/x";
    let output = t.run(&bundle.script(script))?;
    check_eq!(output.text(), "content");
    check_has!(output.stderr, "Read-only file system", "ermission denied", "symbolic links");
    check!(source.join("x").exists());
    unmount(source)?;
    Ok(Passed)
}

fn configures_file_systems(t: &mut Context) -> Result<Verdict> {
    let bundle =
        t.bundle()?.mount("/mnt/t", "tmpfs", "mine", &["size=1m", "mode=700", "nr_inodes=99"]);
    let bundle = bundle.set("/mounts/0/options", serde_json::json!(["nosuid", "hidepid=2"]));
    let mounts = mounts_in(t, bundle)?;
    let tmpfs = at(&mounts, "/mnt/t")?;
    check_eq!(tmpfs.source, "mine");
    for parameter in ["size=1024k", "mode=700", "nr_inodes=99"] {
        check!(tmpfs.driver_has(parameter), "no {parameter}: {tmpfs:?}");
    }
    let proc = at(&mounts, "/proc")?;
    check!(proc.driver_has("hidepid=invisible") || proc.driver_has("hidepid=2"), "{proc:?}");
    Ok(Passed)
}

fn refuses_what_the_driver_refuses(t: &mut Context) -> Result<Verdict> {
    let unknown = t.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &["nonsense=1"]);
    t.run(&unknown)?.refused(&["/mounts/7", "/mnt", "nonsense"])?;
    let unknown = t.bundle()?.mount("/mnt", "nosuchfs", "x", &[]);
    t.run(&unknown)?.refused(&["/mounts/7", "nosuchfs"])?;
    Ok(Passed)
}

fn refuses_words_for_the_driver_on_a_bind_mount(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "crun ignores them");
    let bundle = t.bundle()?.mount("/mnt", "bind", "/etc", &["bind", "size=1m"]);
    t.run(&bundle)?.refused(&["/mounts/7/options", "size=1m"])?;
    Ok(Passed)
}

fn refuses_words_that_would_have_no_effect(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others ignore them");
    for word in ["src-nofollow", "copy-symlink", "dest-nofollow"] {
        let bundle = t.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &[word]);
        t.run(&bundle)?.refused(&["/mounts/7/options", word, "for a new bind mount"])?;
    }
    let bundle = t.bundle()?.mount("/mnt", "bind", "/etc", &["bind", "tmpcopyup"]);
    t.run(&bundle)?.refused(&["/mounts/7", "tmpcopyup is for a tmpfs"])?;
    Ok(Passed)
}

fn copies_into_a_tmpfs(t: &mut Context) -> Result<Verdict> {
    let prepare = "mkdir -p /data/sub && echo content > /data/sub/file && chmod 4711 /data/sub/file \
                   && ln -s /etc/passwd /data/link && mkfifo /data/fifo";
    let bundle = t.bundle()?.writable();
    t.run(&bundle.clone().script(prepare))?.expect(0)?;
    chown(bundle.rootfs().join("data/sub"), Some(12), Some(34))?;
    let script = "grep -c '/data tmpfs' /proc/mounts; cat /data/sub/file; stat -c %a /data/sub/file
                  stat -c %u:%g /data/sub; readlink /data/link; test -p /data/fifo && echo fifo
                  echo changed > /data/sub/file";
    let options = ["tmpcopyup", "size=1m"];
    let output =
        t.run(&bundle.clone().script(script).mount("/data", "tmpfs", "tmpfs", &options))?;
    let expected = ["1", "content", "4711", "12:34", "/etc/passwd", "fifo"];
    check_eq!(output.expect(0)?.lines(), expected);
    // What is below is as it was.
    check_eq!(t.run(&bundle.clone().script("cat /data/sub/file"))?.expect(0)?.text(), "content");
    // What does not fit is an error, and nothing is left.
    let fill = "head -c 100000 /dev/zero > /data/big";
    t.run(&bundle.clone().script(fill))?.expect(0)?;
    let bundle = bundle.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "size=64k"]);
    if t.is_coracle() {
        t.run(&bundle)?.refused(&["/data", "tmpcopyup", "ENOSPC"])?;
    }
    // Nobody can own the copy of what belongs to somebody whom the user namespace does not know.
    let bundle = rootless::bundle(t)?.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    fs::create_dir_all(bundle.rootfs().join("data/sub"))?;
    chown(bundle.rootfs().join("data/sub"), Some(12), Some(34))?;
    if t.is_coracle() {
        let refused = t.as_user(t.run_with(&bundle, &[])?).run()?;
        refused.refused(&["/data", "tmpcopyup", "map its owner in /linux/uidMappings"])?;
    }
    Ok(Passed)
}
