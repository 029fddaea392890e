//! Names that are exchanged while a container is started: what was a directory when it was looked at is a link
//! when it is used.
//!
//! A process exchanges two names without a pause by renameat2(2), as a neighbour does that shares a volume with
//! the container. A start may fail; what it makes must never be outside, nor show what is outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Output, Racer, Result, TerminalSession, Test, Verdict, check, need, rounds,
    tests,
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::json;

use super::{need_harmless, text, without};

pub const TESTS: &[Test] = tests![
    mount_targets_exchanged_for_links,
    missing_mount_targets_below_exchanged_directories,
    missing_working_directory_below_an_exchanged_directory,
    proc_exchanged_for_a_link,
    dev_exchanged_for_a_link,
    devices_below_an_exchanged_directory,
    null_device_exchanged_for_a_link,
    console_exchanged_for_a_link,
    copied_directories_exchanged_for_links,
    copied_files_exchanged_for_links,
];

/// How often each race is run, if nothing else is asked for.
const ROUNDS: u32 = 150;
/// So many containers are started at a time: the racer needs a processor, too.
const AT_ONCE: u32 = 3;

/// Runs containers of the bundle while two names are exchanged, and judges each.
fn race(
    t: &Context,
    bundle: &Bundle,
    [one, other]: [&Path; 2],
    judge: impl Fn(&Output) -> Result<()>,
) -> Result<()> {
    let racer = Racer::start(one, other, t.path("notes"))?;
    let before = racer.exchanges()?;
    for _ in 0..rounds(ROUNDS).div_ceil(AT_ONCE) {
        let some = (0..AT_ONCE).map(|_| t.run_with(bundle, &[])?.spawn());
        for one in some.collect::<Result<Vec<_>>>()? {
            judge(&one.wait()?)?;
        }
        t.check_sentinel()?;
    }
    check!(racer.exchanges()? > before, "nothing was exchanged meanwhile");
    Ok(())
}

/// A volume with a directory and a link to `outside`, which are to be exchanged.
fn volume(t: &Context, outside: &Path) -> Result<(PathBuf, [PathBuf; 2])> {
    let volume = t.path("volume");
    fs::create_dir_all(volume.join("directory/sub"))?;
    symlink(outside, volume.join("link"))?;
    let pair = [volume.join("directory"), volume.join("link")];
    Ok((volume, pair))
}

fn pair(paths: &[PathBuf; 2]) -> [&Path; 2] {
    [&paths[0], &paths[1]]
}

/// CVE-2021-30465. The first mount lands on a directory of the host that a later one takes as its source, with
/// a link of the attacker's in it: the container would get any directory of the host.
fn mount_targets_exchanged_for_links(t: &mut Context) -> Result<Verdict> {
    let secret = t.sentinel()?.join("sub");
    let sources = t.path("sources");
    fs::create_dir_all(sources.join("benign"))?;
    let (volume, names) = volume(t, &sources)?;
    let trap = t.path("trap");
    fs::create_dir(&trap)?;
    symlink(&secret, trap.join("benign"))?;
    let bundle = t.bundle()?.mount("/volume", "bind", &text(&volume), &["bind"]);
    let bundle = bundle.mount("/volume/directory", "bind", &text(&trap), &["bind"]);
    let bundle = bundle.mount("/volume/directory/sub", "tmpfs", "attacker", &[]);
    let bundle = bundle.mount("/got", "bind", &text(&sources.join("benign")), &["bind"]);
    fs::create_dir(trap.join("sub"))?;
    let script = "cat /got/secret; grep -c -e ' attacker ' -e /trap /proc/self/mountinfo; true";
    let bundle = bundle.script(script);
    need_harmless!(t, t.run_with(&bundle, &[])?);
    race(t, &bundle, pair(&names), |output| {
        check!(!output.stdout.contains("secret"), "it sees the host's: {output}");
        // What was mounted and is not inside is outside.
        check!(output.code() != 0 || output.text() == "2", "not inside: {output}");
        Ok(())
    })?;
    Ok(Passed)
}

/// CVE-2024-45310. Files and directories are made for mounts where there is nothing.
fn missing_mount_targets_below_exchanged_directories(t: &mut Context) -> Result<Verdict> {
    let (volume, names) = volume(t, &t.sentinel()?.join("empty"))?;
    fs::write(t.path("file"), "")?;
    let mut bundle = t.bundle()?.mount("/volume", "bind", &text(&volume), &["bind"]);
    for number in 0..12 {
        let target = format!("/volume/directory/{number}/new");
        let file = format!("/volume/directory/file{number}");
        bundle = bundle.mount(&target, "tmpfs", "attacker", &[]);
        bundle = bundle.mount(&file, "bind", &text(&t.path("file")), &["bind"]);
    }
    let bundle = bundle.script("rm -rf /volume/*/* 2> /dev/null; true");
    need_harmless!(t, t.run_with(&bundle, &[])?);
    race(t, &bundle, pair(&names), |_| Ok(()))?;
    Ok(Passed)
}

/// The same for the working directory.
fn missing_working_directory_below_an_exchanged_directory(t: &mut Context) -> Result<Verdict> {
    let (volume, names) = volume(t, &t.sentinel()?.join("empty"))?;
    let bundle = t.bundle()?.mount("/volume", "bind", &text(&volume), &["bind"]);
    let bundle = bundle.set("/process/cwd", "/volume/directory/new/deep");
    let bundle = bundle.script("rm -rf /volume/*/new; true");
    need_harmless!(t, t.run_with(&bundle, &[])?);
    race(t, &bundle, pair(&names), |_| Ok(()))?;
    Ok(Passed)
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2023-28642. A procfs that is not where its files are hidden and protected
/// lets the container change the host's kernel. The host's name is that of the container's own namespace.
fn proc_exchanged_for_a_link(t: &mut Context) -> Result<Verdict> {
    t.sentinel()?;
    let bundle = t.bundle()?;
    let root = bundle.rootfs();
    symlink("fake", root.join("link"))?;
    fs::create_dir_all(root.join("fake/sys/kernel"))?;
    let script = "for p in /proc /link; do
            [ -e $p/self/mountinfo ] || continue
            echo changed > $p/sys/kernel/hostname && echo 'may write'
            [ -s $p/timer_list ] && echo 'may read'
        done 2> /dev/null; hostname";
    let bundle = bundle.set("/hostname", "mine").script(script);
    need_harmless!(t, t.run_with(&bundle, &[])?);
    race(t, &bundle, [&root.join("proc"), &root.join("link")], |output| {
        check!(output.code() != 0 || output.text() == "mine", "unprotected: {output}");
        Ok(())
    })?;
    Ok(Passed)
}

/// CVE-2026-41579, CVE-2026-47766. Devices and links are made in the image's own `/dev`.
fn dev_exchanged_for_a_link(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("dev");
    let bundle = without(t.bundle()?, "/dev").set("/linux/maskedPaths", json!([]));
    let root = bundle.rootfs();
    symlink(outside, root.join("link"))?;
    need_harmless!(t, t.run_with(&bundle, &[])?);
    race(t, &bundle, [&root.join("dev"), &root.join("link")], |_| Ok(()))?;
    Ok(Passed)
}

/// The same for `/linux/devices`.
fn devices_below_an_exchanged_directory(t: &mut Context) -> Result<Verdict> {
    let (volume, names) = volume(t, &t.sentinel()?.join("empty"))?;
    let mut bundle = t.bundle()?.mount("/volume", "bind", &text(&volume), &["bind"]);
    for number in 0..8 {
        let path = format!("/volume/directory/{number}/null");
        let device = json!({"path": path, "type": "c", "major": 1, "minor": 3});
        bundle = bundle.push("/linux/devices", device);
    }
    let bundle = bundle.script("rm -rf /volume/*/* 2> /dev/null; true");
    need_harmless!(t, t.run_with(&bundle, &[])?);
    race(t, &bundle, pair(&names), |_| Ok(()))?;
    Ok(Passed)
}

/// CVE-2025-31133, CVE-2025-62161. What a file is hidden behind is the null device, or the start fails.
fn null_device_exchanged_for_a_link(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("core_pattern");
    let dev = t.path("dev");
    fs::create_dir(&dev)?;
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, dev.join("null"), FileType::CharacterDevice, mode, makedev(1, 3))?;
    symlink(&outside, dev.join("link"))?;
    let bundle = without(t.bundle()?, "/dev");
    let bundle = bundle.mount("/dev", "bind", &text(&dev), &["bind"]);
    // Where a runtime would find it before it has exchanged the root, and after.
    let inside = bundle.rootfs().join(outside.strip_prefix("/")?);
    fs::create_dir_all(inside.parent().unwrap_or(Path::new("/")))?;
    fs::write(&inside, "core\n")?;
    let bundle = bundle.set("/linux/maskedPaths", json!(["/etc/passwd"]));
    let bundle = bundle.script("cat /etc/passwd; echo '|/attacker' > /etc/passwd; true");
    need_harmless!(t, t.run_with(&bundle, &[])?);
    race(t, &bundle, [&dev.join("null"), &dev.join("link")], |output| {
        check!(output.code() != 0 || output.stdout.is_empty(), "not hidden: {output}");
        check!(fs::read_to_string(&inside)? == "core\n", "written to: {output}");
        Ok(())
    })?;
    Ok(Passed)
}

/// CVE-2025-52565. The terminal covers `/dev/console`, and never what that leads to.
fn console_exchanged_for_a_link(t: &mut Context) -> Result<Verdict> {
    t.sentinel()?;
    let bundle = without(t.bundle()?, "/dev").set("/process/terminal", true);
    let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    let bundle = bundle.mount("/dev/pts", "devpts", "devpts", &options);
    let dev = bundle.rootfs().join("dev");
    fs::write(dev.join("console"), "")?;
    symlink("../etc/passwd", dev.join("link"))?;
    let bundle = bundle.script("tty; grep /etc/passwd /proc/self/mountinfo; true");
    let run = || TerminalSession::start(t.run_with(&bundle, &[])?, 24, 80)?.finish();
    let (output, seen) = run()?;
    check!(!t.is_coracle() || output.code() == 0, "without an attack: {seen}");
    need!(output.code() == 0, "it cannot do this where nobody attacks, either: {}", seen.trim());
    let _racer = Racer::start(&dev.join("console"), &dev.join("link"), t.path("notes"))?;
    for _ in 0..rounds(ROUNDS / 2) {
        let (output, seen) = run()?;
        let elsewhere = seen.contains("/etc/passwd");
        check!(output.code() != 0 || seen.contains("/dev/pts/0") && !elsewhere, "{seen}");
        t.check_sentinel()?;
    }
    Ok(Passed)
}

/// What `tmpcopyup` copies is what is in the directory, not what somebody puts in its place.
fn copied_directories_exchanged_for_links(t: &mut Context) -> Result<Verdict> {
    copies_nothing_else(t, |data| fs::create_dir(data.join("name")), "sub")
}

/// The same for a file, also where a device or a FIFO would take its place.
fn copied_files_exchanged_for_links(t: &mut Context) -> Result<Verdict> {
    copies_nothing_else(t, |data| fs::write(data.join("name"), "image\n"), "secret")
}

fn copies_nothing_else(
    t: &Context,
    make: fn(&Path) -> std::io::Result<()>,
    outside: &str,
) -> Result<Verdict> {
    let outside = t.sentinel()?.join(outside);
    let bundle = t.bundle()?.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let data = bundle.rootfs().join("data");
    fs::create_dir(&data)?;
    make(&data)?;
    fs::write(data.join("file"), "image\n")?;
    let bundle = bundle
        .script("cat /data/file > /dev/null || exit; cat /data/* /data/*/* 2> /dev/null; true");
    need_harmless!(t, t.run_with(&bundle, &[])?);
    symlink(&outside, data.join("link"))?;
    race(t, &bundle, [&data.join("name"), &data.join("link")], |output| {
        check!(!output.stdout.contains("secret"), "it has the host's: {output}");
        Ok(())
    })?;
    Ok(Passed)
}
