//! Symbolic links in an image, where the configuration names a path.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, tests};
use serde_json::json;

use super::{need_harmless, refused, text, without};

pub const TESTS: &[Test] = tests![
    mount_targets_behind_links,
    mount_targets_behind_loops,
    proc_and_sys_behind_links,
    dev_behind_a_link,
    devices_behind_links,
    hidden_and_protected_paths_behind_links,
    working_directory_behind_a_link,
    copies_of_directories_with_links,
];

/// Links of every kind that lead to `outside`, or to where it would be inside.
fn plant_links(root: &Path, outside: &Path) -> Result<Vec<String>> {
    let up = Path::new("../../../../../../../../../..").join(outside.strip_prefix("/")?);
    symlink(outside, root.join("absolute"))?;
    symlink(&up, root.join("relative"))?;
    symlink("absolute", root.join("twice"))?;
    symlink("twice/..", root.join("above"))?;
    symlink("../../../../../../../../../proc/1/root", root.join("magic"))?;
    symlink(outside, root.join("long0"))?;
    for number in 1..40 {
        symlink(format!("long{}", number - 1), root.join(format!("long{number}")))?;
    }
    let names = ["absolute", "relative", "twice", "above", "magic", "long38", "long39"];
    Ok(names.iter().map(|name| format!("/{name}")).collect())
}

/// CVE-2019-18837. A target behind links is a place inside the root, or the start fails.
fn mount_targets_behind_links(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("empty");
    let file = t.path("file");
    fs::write(&file, "")?;
    let paths = plant_links(&t.bundle()?.rootfs(), &outside)?;
    for path in paths {
        for below in ["", "/new", "/new/deep"] {
            let bundle = t.bundle()?.writable();
            plant_links(&bundle.rootfs(), &outside)?;
            let target = format!("{path}{below}");
            let bundle = bundle.mount(&target, "tmpfs", "attacker", &[]);
            let bundle = bundle.mount(&format!("{target}-f"), "bind", &text(&file), &["bind"]);
            let output =
                t.run(&bundle.clone().script("grep -c ' attacker ' /proc/self/mountinfo"))?;
            // A mount that is not inside went somewhere else.
            let inside = output.code() == 0 && output.text() == "1";
            check!(inside || output.code() != 0 && output.stdout.is_empty(), "{target}: {output}");
            t.check_sentinel()?;
            fs::remove_dir_all(bundle.directory())?;
        }
    }
    Ok(Passed)
}

/// CVE-2019-18837. An end is found to what has none.
fn mount_targets_behind_loops(t: &mut Context) -> Result<Verdict> {
    for target in ["/loop", "/loop/x", "/self/self/x"] {
        let bundle = t.bundle()?.mount(target, "tmpfs", "attacker", &[]);
        symlink("pool", bundle.rootfs().join("loop"))?;
        symlink("loop", bundle.rootfs().join("pool"))?;
        symlink("self/self", bundle.rootfs().join("self"))?;
        refused(t, &t.run(&bundle)?, &["/mounts/7"])?;
    }
    Ok(Passed)
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867. A procfs that is not at `/proc` is one that
/// nothing is hidden in.
fn proc_and_sys_behind_links(t: &mut Context) -> Result<Verdict> {
    let attacks: [fn(&Path) -> std::io::Result<()>; 4] = [
        |path| symlink("tmp", path),
        |path| symlink("/home", path),
        |path| symlink("../../../../..", path),
        |path| fs::write(path, ""),
    ];
    for name in ["proc", "sys"] {
        for attack in attacks {
            let bundle = t.bundle()?;
            let path = bundle.rootfs().join(name);
            fs::remove_dir(&path)?;
            attack(&path)?;
            let words = [&format!("/{name}"), "ordinary directory"];
            refused(t, &t.run(&bundle)?, &words)?;
        }
    }
    Ok(Passed)
}

/// CVE-2026-41579, CVE-2026-47766. Devices and links are not made where the image's `/dev` leads to.
fn dev_behind_a_link(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("dev");
    for way in [text(&outside), format!("../../../../../../../../..{}", text(&outside))] {
        let bundle = without(t.bundle()?, "/dev").set("/linux/maskedPaths", json!([]));
        fs::remove_dir(bundle.rootfs().join("dev"))?;
        symlink(&way, bundle.rootfs().join("dev"))?;
        // Whether it fails or makes devices inside is its own affair.
        t.run(&bundle)?;
        t.check_sentinel()?;
    }
    Ok(Passed)
}

/// The same for `/linux/devices`, at the end of the path and on the way.
fn devices_behind_links(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("empty");
    let device =
        |path: &str| json!({"path": path, "type": "c", "major": 1, "minor": 3, "fileMode": 0o666});
    let paths = plant_links(&t.bundle()?.rootfs(), &outside)?;
    for path in paths {
        let bundle = t.bundle()?.push("/linux/devices", device(&format!("{path}/x/null")));
        let bundle = bundle.push("/linux/devices", device(&format!("{path}/null")));
        plant_links(&bundle.rootfs(), &outside)?;
        t.run(&bundle)?;
        t.check_sentinel()?;
    }
    // What is there already is given no other owner or mode through a link.
    let bundle = without(t.bundle()?, "/dev").set("/linux/maskedPaths", json!([]));
    symlink(outside.join("../secret"), bundle.rootfs().join("dev/null"))?;
    t.run(&bundle.push("/linux/devices", device("/dev/null")))?;
    Ok(Passed)
}

/// CVE-2025-31133 and its kin. What a mask or a protection is put on is inside.
fn hidden_and_protected_paths_behind_links(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?;
    let bundle = t.bundle()?;
    let mut paths = plant_links(&bundle.rootfs(), &outside.join("sub"))?;
    symlink(outside.join("secret"), bundle.rootfs().join("file"))?;
    paths.push("/file".to_owned());
    for field in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
        // A runtime may refuse; the sentinel and the mounts of the host tell the rest.
        t.run(&bundle.clone().set(field, json!(paths)))?;
        t.check_sentinel()?;
    }
    Ok(Passed)
}

/// CVE-2024-45310, for the directory that is made if it is missing.
fn working_directory_behind_a_link(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("empty");
    for path in plant_links(&t.bundle()?.rootfs(), &outside)? {
        let bundle = t.bundle()?.writable().set("/process/cwd", format!("{path}/new"));
        plant_links(&bundle.rootfs(), &outside)?;
        t.run(&bundle)?;
        t.check_sentinel()?;
    }
    Ok(Passed)
}

/// What is copied into a tmpfs, as `tmpcopyup` asks for, are links, not what they lead to.
fn copies_of_directories_with_links(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?;
    let bundle = t.bundle()?.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let data = bundle.rootfs().join("data");
    fs::create_dir_all(data.join("sub"))?;
    fs::write(data.join("sub/file"), "image\n")?;
    let bundle = bundle.script("cat /data/sub/file");
    need_harmless!(t, t.run_with(&bundle, &[])?);
    symlink(outside.join("sub"), data.join("directory"))?;
    symlink(outside.join("secret"), data.join("file"))?;
    let output =
        t.run(&bundle.script("cat /data/directory/secret /data/file; touch /data/directory/x"))?;
    check!(!output.stdout.contains("secret"), "{output}");
    Ok(Passed)
}
