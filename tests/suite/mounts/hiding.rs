//! `/linux/maskedPaths` and `/linux/readonlyPaths`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Result, Test, Verdict, check, check_eq, parse_mountinfo, tests,
};
use serde_json::json;

use super::{at, check_flags, mounts_in};

pub const TESTS: &[Test] = tests![
    masks_files_and_directories,
    masks_and_protects_every_kind_of_target,
    masks_what_the_default_configuration_masks,
    protects_paths,
    protects_what_the_default_configuration_protects,
    passes_over_what_is_missing,
    keeps_the_flags_of_what_it_protects,
];

fn masks_files_and_directories(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable();
    let root = bundle.rootfs();
    fs::create_dir_all(root.join("secrets/deep"))?;
    fs::write(root.join("secrets/deep/key"), "secret\n")?;
    fs::write(root.join("secret"), "secret\n")?;
    let masked = json!(["/secret", "/secrets", "/secrets", "/root"]);
    let bundle = bundle.set("/linux/maskedPaths", masked);
    let script = "cat /secret; ls /secrets /root; echo x > /secret; touch /secrets/x; cat /secret";
    let output = t.run(&bundle.clone().script(script))?.expect(0)?;
    check_eq!(output.text(), "/root:\n\n/secrets:");
    check!(output.stderr.contains("Read-only file system"), "{output}");
    check_eq!(fs::read_to_string(root.join("secret"))?, "secret\n");
    Ok(Passed)
}

fn masks_and_protects_every_kind_of_target(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable();
    let root = bundle.rootfs();
    fs::create_dir(root.join("dir"))?;
    fs::write(root.join("dir/inside"), "seen\n")?;
    fs::write(root.join("file"), "seen\n")?;
    symlink("/etc/passwd", root.join("link"))?;
    symlink("nowhere", root.join("dangling"))?;
    let bundle = bundle.push("/linux/devices", json!({"path": "/dev/pipe", "type": "p"}));
    let bundle = bundle.mount("/mnt/t", "tmpfs", "tmpfs", &[]);
    let targets = json!([
        "/file",
        "/dir",
        "/link",
        "/dangling",
        "/dev/zero",
        "/dev/pipe",
        "/mnt/t",
        "/missing",
        "/file",
        "/dir",
        "/mnt/t",
        "/etc/passwd",
    ]);
    let script = "cat /file /link /etc/passwd /dev/zero /dev/pipe; ls /dir /mnt/t | grep -v :";
    let masked = bundle.clone().set("/linux/maskedPaths", targets.clone());
    check_eq!(t.run(&masked.script(script))?.text(), "");
    let protected = bundle.set("/linux/readonlyPaths", targets);
    let script = "echo > /file; echo > /link; touch /dir/x /mnt/t/x; cat /file /dir/inside
        head -c 1 /dev/zero | wc -c; test -p /dev/pipe && echo pipe";
    let output = t.run(&protected.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["seen", "seen", "1", "pipe"]);
    check_eq!(output.stderr.matches("Read-only file system").count(), 4);
    Ok(Passed)
}

/// The paths of a list that this kernel has.
fn present(bundle: &Bundle, list: &str) -> Vec<String> {
    let paths = bundle.spec()["linux"][list].as_array().into_iter().flatten();
    let paths = paths.filter_map(|path| path.as_str().map(str::to_owned));
    paths.filter(|path| Path::new(path).exists()).collect()
}

fn masks_what_the_default_configuration_masks(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    let masked = present(&bundle, "maskedPaths");
    check!(!masked.is_empty());
    let list = masked.join(" ");
    let script = format!("for p in {list}; do [ -d $p ] && ls $p || stat -c '%t:%T' $p; done");
    let output = t.run(&bundle.script(&script))?.expect(0)?;
    let files = masked.iter().filter(|path| !Path::new(path).is_dir()).count();
    check_eq!(output.lines(), vec!["1:3"; files]);
    Ok(Passed)
}

fn protects_paths(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable();
    let bundle = bundle.set("/linux/readonlyPaths", json!(["/etc", "/home/user", "/tmp/file"]));
    fs::write(bundle.rootfs().join("tmp/file"), "kept\n")?;
    let script = "touch /etc/x; touch /home/user/x; echo > /tmp/file; cat /tmp/file; touch /home/x && echo free";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["kept", "free"]);
    check_eq!(output.stderr.matches("Read-only file system").count(), 3);
    Ok(Passed)
}

fn protects_what_the_default_configuration_protects(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.capabilities(&["CAP_SYS_ADMIN", "CAP_NET_ADMIN"]);
    let script = "echo 1 > /proc/sys/net/ipv4/ip_forward || cat /proc/self/mountinfo";
    let output = t.run(&bundle.clone().script(script))?.expect(0)?;
    check!(output.stderr.contains("Read-only file system"), "{output}");
    let mounts = parse_mountinfo(&output.stdout)?;
    for path in present(&bundle, "readonlyPaths") {
        check!(at(&mounts, &path)?.has("ro"), "{path}");
    }
    Ok(Passed)
}

fn passes_over_what_is_missing(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/linux/maskedPaths", json!(["/no/such", "/proc/no/such"]));
    let bundle = bundle.set("/linux/readonlyPaths", json!(["/no/such", "/proc/no/such"]));
    t.run(&bundle)?.expect(0)?;
    Ok(Passed)
}

fn keeps_the_flags_of_what_it_protects(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/mnt", "tmpfs", "x", &["nosuid", "nodev", "noexec"]);
    let bundle = bundle.set("/linux/readonlyPaths", json!(["/mnt"]));
    let mounts = mounts_in(t, bundle)?;
    check_flags(at(&mounts, "/mnt")?, &["ro", "nosuid", "nodev", "noexec"])?;
    Ok(Passed)
}
