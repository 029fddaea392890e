//! Symbolic links as source and as destination: `copy-symlink`, `src-nofollow` and `dest-nofollow`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, tests};

pub const TESTS: &[Test] = tests![
    makes_a_link_like_the_source,
    makes_no_link_over_another,
    mounts_what_is_no_link,
    mounts_a_link_itself,
    covers_a_link,
    treats_links_inside_the_root_alike,
];

/// A link of the host to nowhere, or a file.
fn link(t: &Context) -> Result<PathBuf> {
    let path = t.path("link");
    symlink("/no/such/place", &path)?;
    fs::write(t.path("file"), "content\n")?;
    Ok(path)
}

fn makes_a_link_like_the_source(t: &mut Context) -> Result<Verdict> {
    let link = link(t)?.to_string_lossy().into_owned();
    let bundle = t.bundle()?;
    symlink("/no/such/place", bundle.rootfs().join("same"))?;
    let bundle = bundle.mount("/new/dir/link", "bind", &link, &["bind", "copy-symlink"]);
    let bundle = bundle.mount("/same", "bind", &link, &["bind", "copy-symlink", "ro"]);
    let output = t.run(&bundle.script("readlink /new/dir/link; readlink /same"))?.expect(0)?;
    check_eq!(output.lines(), ["/no/such/place", "/no/such/place"]);
    Ok(Passed)
}

fn makes_no_link_over_another(t: &mut Context) -> Result<Verdict> {
    let link = link(t)?.to_string_lossy().into_owned();
    let bundle = t.bundle()?;
    symlink("/another/place", bundle.rootfs().join("other"))?;
    for place in ["/other", "/etc/passwd", "/etc"] {
        let bundle = bundle.clone().mount(place, "bind", &link, &["bind", "copy-symlink"]);
        let output = t.run(&bundle)?;
        check!(output.code() != 0 && output.stderr.contains(place), "{output}");
    }
    Ok(Passed)
}

fn mounts_what_is_no_link(t: &mut Context) -> Result<Verdict> {
    link(t)?;
    let file = t.path("file").to_string_lossy().into_owned();
    let bundle = t.bundle()?.mount("/mnt/copy", "bind", &file, &["bind", "copy-symlink"]);
    let bundle = bundle.mount("/mnt/itself", "bind", &file, &["bind", "src-nofollow"]);
    let bundle = bundle.mount("/mnt/over", "bind", &file, &["bind", "dest-nofollow"]);
    let output = t.run(&bundle.script("cat /mnt/*; grep -c /mnt/ /proc/self/mountinfo"))?;
    check_eq!(output.expect(0)?.lines(), ["content", "content", "content", "3"]);
    Ok(Passed)
}

fn mounts_a_link_itself(t: &mut Context) -> Result<Verdict> {
    let link = link(t)?.to_string_lossy().into_owned();
    let bundle = t.bundle()?.mount("/mnt/link", "bind", &link, &["bind", "src-nofollow"]);
    let script = "readlink /mnt/link; grep -c ' /mnt/link ' /proc/self/mountinfo; cat /mnt/link";
    let output = t.run(&bundle.clone().script(script))?;
    check_eq!(output.lines(), ["/no/such/place", "1"]);
    check!(bundle.rootfs().join("mnt/link").symlink_metadata()?.is_file());
    // Without the word it is followed, and leads nowhere.
    let bundle = t.bundle()?.mount("/mnt/link", "bind", &link, &["bind"]);
    t.run(&bundle)?.refused(&["/mounts/7"])?;
    Ok(Passed)
}

fn covers_a_link(t: &mut Context) -> Result<Verdict> {
    link(t)?;
    let file = t.path("file").to_string_lossy().into_owned();
    let bundle = t.bundle()?;
    symlink("/etc/passwd", bundle.rootfs().join("link"))?;
    let bundle = bundle.mount("/link", "bind", &file, &["bind", "dest-nofollow"]);
    let script = "cat /link; grep -c content /etc/passwd; grep -c ' /link ' /proc/self/mountinfo";
    let output = t.run(&bundle.script(script))?.expect(0)?;
    check_eq!(output.lines(), ["content", "0", "1"]);
    Ok(Passed)
}

/// A source below the root file system is looked up as the container will see it.
fn treats_links_inside_the_root_alike(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?;
    symlink("/etc/hostname-of-nobody", bundle.rootfs().join("link"))?;
    let bundle = bundle.mount("/mnt/copy", "bind", "rootfs/link", &["bind", "copy-symlink"]);
    let bundle = bundle.mount("/mnt/itself", "bind", "rootfs/link", &["bind", "src-nofollow"]);
    let output = t.run(&bundle.script("readlink /mnt/copy; readlink /mnt/itself"))?.expect(0)?;
    check_eq!(output.lines(), ["/etc/hostname-of-nobody", "/etc/hostname-of-nobody"]);
    Ok(Passed)
}
