//! What hides files: not whatever the image has at `/dev/null`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, tests};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::json;

use super::{need_harmless, text, without};

pub const TESTS: &[Test] = tests![
    null_device_that_is_a_link,
    null_device_that_is_something_else,
    hidden_directories_stay_empty,
];

/// A bundle with `/etc/passwd` hidden, and the directory that is its `/dev`.
fn with_own_dev(t: &Context) -> Result<(Bundle, PathBuf)> {
    let dev = t.path(&format!("dev-{}", t.id()));
    fs::create_dir(&dev)?;
    let bundle = without(t.bundle()?, "/dev").mount("/dev", "bind", &text(&dev), &["bind"]);
    let bundle = bundle.set("/linux/maskedPaths", json!(["/etc/passwd"]));
    Ok((bundle.script("cat /etc/passwd; echo '|/attacker' > /etc/passwd; true"), dev))
}

fn node(path: &Path, kind: FileType, (major, minor): (u32, u32)) -> Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    Ok(mknodat(CWD, path, kind, mode, makedev(major, minor))?)
}

/// CVE-2025-31133, CVE-2025-62161. The link's target would be at the hidden path, and writable.
fn null_device_that_is_a_link(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("core_pattern");
    let (bundle, dev) = with_own_dev(t)?;
    node(&dev.join("null"), FileType::CharacterDevice, (1, 3))?;
    need_harmless!(t, t.run_with(&bundle, &[])?);
    // Inside the root the link leads to a stand-in that it is as bad to be seen.
    for link in [text(&outside), "/stand-in".into(), "../stand-in".into()] {
        let (bundle, dev) = with_own_dev(t)?;
        fs::write(bundle.rootfs().join("stand-in"), "core\n")?;
        symlink(link, dev.join("null"))?;
        let output = t.run(&bundle)?;
        check!(output.code() != 0 || output.stdout.is_empty(), "not hidden: {output}");
        check_eq!(fs::read_to_string(bundle.rootfs().join("stand-in"))?, "core\n");
        t.check_sentinel()?;
    }
    Ok(Passed)
}

/// CVE-2025-31133: a file, another device, a FIFO.
fn null_device_that_is_something_else(t: &mut Context) -> Result<Verdict> {
    t.sentinel()?;
    let attacks: [fn(&Path) -> Result<()>; 4] = [
        |null| Ok(fs::write(null, "attacker\n")?),
        |null| node(null, FileType::CharacterDevice, (1, 9)),
        |null| node(null, FileType::BlockDevice, (1, 3)),
        |null| node(null, FileType::Fifo, (0, 0)),
    ];
    for attack in attacks {
        let (bundle, dev) = with_own_dev(t)?;
        attack(&dev.join("null"))?;
        let bundle = bundle.script("stat -c '%F %t:%T' /etc/passwd");
        let output = t.run(&bundle)?;
        let hidden = output.text() == "character special file 1:3";
        // One that opens its streams there has nothing to say.
        let hidden = hidden || output.stdout.is_empty() && !t.is_coracle();
        check!(output.code() != 0 || hidden, "not hidden: {output}");
    }
    Ok(Passed)
}

/// What hides a directory is nothing that the container can fill.
fn hidden_directories_stay_empty(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable().set("/linux/maskedPaths", json!(["/home", "/etc"]));
    let bundle = bundle.capabilities(&["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"]);
    let script = "ls /home /etc; touch /home/x /etc/x; mkdir /home/y; ls -A /home /etc";
    let output = t.run(&bundle.script(script))?;
    check_eq!(output.text(), "/etc:\n\n/home:\n/etc:\n\n/home:");
    Ok(Passed)
}
