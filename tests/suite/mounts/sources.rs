//! `/mounts/*/source`.

use std::fs;
use std::os::unix::fs::symlink;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, need, tests};

use super::{at, mounts_in};

pub const TESTS: &[Test] = tests![
    binds_a_file,
    binds_over_what_is_there,
    finds_relative_sources_in_the_bundle,
    follows_links_of_the_host,
    takes_what_was_mounted_before,
    mounts_one_on_the_other,
    writes_through_a_bind_mount,
    binds_special_files,
    says_which_source_is_missing,
];

fn binds_a_file(t: &mut Context) -> Result<Verdict> {
    let file = t.path("file");
    fs::write(&file, "content\n")?;
    let bundle =
        t.bundle()?.mount("/new/dir/file", "bind", &file.to_string_lossy(), &["bind", "ro"]);
    let bundle = bundle.script("cat /new/dir/file; echo > /new/dir/file");
    let output = t.run(&bundle)?;
    check_eq!(output.text(), "content");
    check!(output.stderr.contains("Read-only"), "{output}");
    check_eq!(fs::read_to_string(file)?, "content\n");
    Ok(Passed)
}

fn binds_over_what_is_there(t: &mut Context) -> Result<Verdict> {
    fs::write(t.path("file"), "mine\n")?;
    fs::create_dir(t.path("directory"))?;
    fs::write(t.path("directory/inside"), "")?;
    let path = |name: &str| t.path(name).to_string_lossy().into_owned();
    let bundle = t.bundle()?.mount("/etc/passwd", "bind", &path("file"), &["bind"]);
    let bundle = bundle.mount("/home", "bind", &path("directory"), &["bind"]);
    let output = t.run(&bundle.clone().script("cat /etc/passwd; ls /home"))?.expect(0)?;
    check_eq!(output.lines(), ["mine", "inside"]);
    check!(bundle.rootfs().join("home/user").exists());
    check!(fs::read_to_string(bundle.rootfs().join("etc/passwd"))?.starts_with("root:"));
    Ok(Passed)
}

fn finds_relative_sources_in_the_bundle(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/mnt", "bind", "data/", &["bind"]);
    let bundle = bundle.mount("/root/file", "bind", "data/file", &["bind"]);
    fs::create_dir(bundle.directory().join("data"))?;
    fs::write(bundle.directory().join("data/file"), "relative\n")?;
    let output = t.run(&bundle.script("cat /mnt/file /root/file"))?.expect(0)?;
    check_eq!(output.text(), "relative\nrelative");
    Ok(Passed)
}

fn follows_links_of_the_host(t: &mut Context) -> Result<Verdict> {
    fs::create_dir(t.path("real"))?;
    fs::write(t.path("real/file"), "real\n")?;
    symlink("real", t.path("link"))?;
    let bundle = t.bundle()?.mount("/mnt", "bind", &t.path("link").to_string_lossy(), &["bind"]);
    check_eq!(t.run(&bundle.script("cat /mnt/file"))?.expect(0)?.text(), "real");
    Ok(Passed)
}

/// A source below the root file system means what is mounted there by then.
fn takes_what_was_mounted_before(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/mnt/first", "tmpfs", "first", &["mode=711"]);
    let source = bundle.rootfs().join("mnt/first");
    let bundle = bundle.mount("/mnt/second", "bind", &source.to_string_lossy(), &["bind", "ro"]);
    let bundle = bundle.mount("/mnt/third", "bind", "rootfs/mnt/first", &["bind"]);
    let mounts = mounts_in(t, bundle.clone())?;
    for name in ["first", "second", "third"] {
        let mount = at(&mounts, &format!("/mnt/{name}"))?;
        check_eq!((mount.source.as_str(), mount.fstype.as_str()), ("first", "tmpfs"));
    }
    let script = "echo shared > /mnt/first/f; cat /mnt/second/f /mnt/third/f; touch /mnt/second/x";
    let output = t.run(&bundle.script(script))?.expect(1)?;
    check_eq!(output.lines(), ["shared", "shared"]);
    Ok(Passed)
}

fn mounts_one_on_the_other(t: &mut Context) -> Result<Verdict> {
    fs::write(t.path("file"), "top\n")?;
    let file = t.path("file").to_string_lossy().into_owned();
    let bundle = t.bundle()?.mount("/mnt", "tmpfs", "one", &[]);
    let bundle = bundle.mount("/mnt/a/b", "tmpfs", "two", &[]);
    let bundle = bundle.mount("/mnt/a/b/c", "bind", &file, &["bind"]);
    let bundle = bundle.mount("/mnt/a/b", "tmpfs", "three", &[]);
    let mounts = mounts_in(t, bundle.clone())?;
    check_eq!(at(&mounts, "/mnt/a/b")?.source, "three");
    let output = t.run(&bundle.script("ls /mnt /mnt/a/b; umount /mnt/a/b; cat /mnt/a/b/c"))?;
    check_eq!(output.lines()[..4], ["/mnt:", "a", "", "/mnt/a/b:"]);
    Ok(Passed)
}

fn writes_through_a_bind_mount(t: &mut Context) -> Result<Verdict> {
    let shared = t.path("shared");
    fs::create_dir(&shared)?;
    let bundle = t.bundle()?.mount("/mnt", "bind", &shared.to_string_lossy(), &["rbind", "rw"]);
    t.run(&bundle.script("echo written > /mnt/file"))?.expect(0)?;
    check_eq!(fs::read_to_string(shared.join("file"))?, "written\n");
    Ok(Passed)
}

fn binds_special_files(t: &mut Context) -> Result<Verdict> {
    let socket = t.path("socket");
    let _server = std::os::unix::net::UnixListener::bind(&socket)?;
    let bundle = t.bundle()?.mount("/mnt/socket", "bind", &socket.to_string_lossy(), &["bind"]);
    let bundle = bundle.mount("/mnt/null", "bind", "/dev/null", &["bind"]);
    let output = t.run(&bundle.script("stat -c %F /mnt/socket /mnt/null"))?.expect(0)?;
    check_eq!(output.lines(), ["socket", "character special file"]);
    Ok(Passed)
}

fn says_which_source_is_missing(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.mount("/mnt", "bind", "/no/such/source", &["bind"]);
    t.run(&bundle)?.refused(&["/mounts/7", "/no/such/source"])?;
    need!(t.is_coracle(), "the rest is checked by coracle only");
    let bundle = t.bundle()?.mount("/mnt", "bind", "", &["bind"]);
    t.run(&bundle)?.refused(&["/mounts/7"])?;
    Ok(Passed)
}
