//! `/mounts/*/destination`, in root file systems that somebody else made.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Result, Test, Verdict, check, check_eq, host_mounts, tests,
};

use super::{at, mounts_in};

pub const TESTS: &[Test] = tests![
    makes_what_is_missing,
    makes_what_is_missing_in_a_read_only_root,
    resolves_links_inside_the_root,
    goes_through_dangling_links_inside_the_root,
    gives_up_on_loops,
    keeps_off_proc_and_the_root_itself,
    allows_files_that_stand_in_for_those_of_proc,
    takes_over_the_mode_of_what_a_tmpfs_covers,
    takes_a_relative_destination_as_one_from_the_root,
    does_not_mount_a_directory_on_a_file,
];

fn makes_what_is_missing(t: &mut Context) -> Result<Verdict> {
    let file = t.path("file");
    fs::write(&file, "")?;
    let bundle = t.bundle()?.mount("/a/b/c", "tmpfs", "x", &[]);
    let bundle = bundle.mount("/d/e/file", "bind", &file.to_string_lossy(), &["bind"]);
    t.run_with(&bundle, &[])?.after("umask 077").succeed()?;
    let mode = |path: &str| -> Result<u32> {
        Ok(fs::metadata(bundle.rootfs().join(path))?.permissions().mode())
    };
    for directory in ["a", "a/b", "a/b/c", "d", "d/e"] {
        check_eq!(mode(directory)?, 0o040_755);
    }
    check_eq!(mode("d/e/file")? & 0o170_000, 0o100_000);
    Ok(Passed)
}

fn makes_what_is_missing_in_a_read_only_root(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/root/readonly", true).mount("/new", "tmpfs", "x", &[]);
    check_eq!(at(&mounts_in(t, bundle)?, "/new")?.fstype, "tmpfs");
    Ok(Passed)
}

/// A directory of the host that no container may touch, and a bundle with links that seem to lead there.
fn with_links(t: &Context) -> Result<(Bundle, std::path::PathBuf)> {
    let outside = t.path("outside");
    fs::create_dir(&outside)?;
    let bundle = t.bundle()?.writable();
    let root = bundle.rootfs();
    let up = Path::new("../../../../../../../../../..").join(outside.strip_prefix("/")?);
    symlink(&outside, root.join("absolute"))?;
    symlink(&up, root.join("relative"))?;
    symlink("absolute", root.join("twice"))?;
    fs::create_dir_all(root.join("deep/er"))?;
    symlink("../../../../../../..", root.join("deep/er/up"))?;
    Ok((bundle, outside))
}

fn check_untouched(outside: &Path) -> Result<()> {
    check_eq!(fs::read_dir(outside)?.count(), 0);
    let inside = host_mounts()?;
    let prefix = outside.to_string_lossy();
    check!(!inside.iter().any(|mount| mount.target.starts_with(&*prefix)));
    Ok(())
}

fn resolves_links_inside_the_root(t: &mut Context) -> Result<Verdict> {
    let (bundle, outside) = with_links(t)?;
    let inside = bundle.rootfs().join(outside.strip_prefix("/")?);
    fs::create_dir_all(&inside)?;
    let shown = outside.to_string_lossy().into_owned();
    let bundle = bundle.mount("/absolute", "tmpfs", "by-absolute", &[]);
    let bundle = bundle.mount("/relative/a", "tmpfs", "by-relative", &[]);
    let bundle = bundle.mount("/twice/b", "tmpfs", "by-twice", &[]);
    let bundle = bundle.mount("/deep/er/up/mnt", "tmpfs", "by-up", &[]);
    let mounts = mounts_in(t, bundle)?;
    check_eq!(at(&mounts, &shown)?.source, "by-absolute");
    check_eq!(at(&mounts, &format!("{shown}/a"))?.source, "by-relative");
    check_eq!(at(&mounts, &format!("{shown}/b"))?.source, "by-twice");
    check_eq!(at(&mounts, "/mnt")?.source, "by-up");
    check_untouched(&outside)?;
    Ok(Passed)
}

fn goes_through_dangling_links_inside_the_root(t: &mut Context) -> Result<Verdict> {
    let (bundle, outside) = with_links(t)?;
    let file = t.path("file");
    fs::write(&file, "content\n")?;
    let bundle = bundle.mount("/absolute/new", "tmpfs", "one", &[]);
    let bundle = bundle.mount("/relative/file", "bind", &file.to_string_lossy(), &["bind"]);
    let mounts = mounts_in(t, bundle.clone())?;
    let shown = outside.to_string_lossy().into_owned();
    check_eq!(at(&mounts, &format!("{shown}/new"))?.source, "one");
    at(&mounts, &format!("{shown}/file"))?;
    check_untouched(&outside)?;
    check!(bundle.rootfs().join(outside.strip_prefix("/")?).join("new").is_dir());
    Ok(Passed)
}

fn gives_up_on_loops(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/loop/x", "tmpfs", "x", &[]);
    symlink("pool", bundle.rootfs().join("loop"))?;
    symlink("loop", bundle.rootfs().join("pool"))?;
    t.run(&bundle)?.refused(&["/mounts/7", "/loop/x"])?;
    Ok(Passed)
}

fn keeps_off_proc_and_the_root_itself(t: &mut Context) -> Result<Verdict> {
    for target in ["/proc/self", "/proc/sys/kernel", "/proc/1/attr", "/proc/../proc/sys"] {
        let bundle = t.bundle()?.mount(target, "tmpfs", "x", &[]);
        t.run(&bundle)?.refused(&["/mounts/7", "/proc"])?;
    }
    let bundle = t.bundle()?.mount("/link/sys", "tmpfs", "x", &[]);
    symlink("/proc", bundle.rootfs().join("link"))?;
    t.run(&bundle)?.refused(&["/mounts/7", "/proc"])?;
    for target in ["/", "/..", "/tmp/.."] {
        t.run(&t.bundle()?.mount(target, "tmpfs", "x", &[]))?.refused(&["/mounts/7", "root"])?;
    }
    let bundle = t.bundle()?.mount("/link", "tmpfs", "x", &[]);
    symlink("../..", bundle.rootfs().join("link"))?;
    t.run(&bundle)?.refused(&["/mounts/7", "root"])?;
    Ok(Passed)
}

fn allows_files_that_stand_in_for_those_of_proc(t: &mut Context) -> Result<Verdict> {
    let file = t.path("uptime");
    fs::write(&file, "1.00 2.00\n")?;
    let source = file.to_string_lossy();
    let bundle = t.bundle()?.mount("/proc/uptime", "bind", &source, &["bind", "ro"]);
    check_eq!(t.run(&bundle.script("cat /proc/uptime"))?.expect(0)?.text(), "1.00 2.00");
    Ok(Passed)
}

fn takes_over_the_mode_of_what_a_tmpfs_covers(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/kept", "tmpfs", "x", &[]);
    let bundle = bundle.mount("/given", "tmpfs", "x", &["mode=0711"]);
    for name in ["kept", "given"] {
        let path = bundle.rootfs().join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1730))?;
    }
    let output = t.run(&bundle.script("stat -c %a /kept /given"))?.expect(0)?;
    check_eq!(output.lines(), ["1730", "711"]);
    Ok(Passed)
}

fn takes_a_relative_destination_as_one_from_the_root(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("mnt", "tmpfs", "relative", &[]);
    let output = t.run(&bundle.args(&["cat", "/proc/self/mountinfo"]))?.expect(0)?;
    let mounts = coracle_testkit::parse_mountinfo(&output.stdout)?;
    check_eq!(at(&mounts, "/mnt")?.source, "relative");
    Ok(Passed)
}

fn does_not_mount_a_directory_on_a_file(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/etc/passwd", "bind", "/tmp", &["bind"]);
    t.run(&bundle)?.refused(&["/mounts/7", "/etc/passwd"])?;
    let bundle = t.bundle()?.mount("/etc/passwd/x", "tmpfs", "x", &[]);
    t.run(&bundle)?.refused(&["/mounts/7", "/etc/passwd"])?;
    Ok(Passed)
}
