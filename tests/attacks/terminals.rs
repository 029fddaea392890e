//! Terminals: what the container gets as one, and what it gets at `/dev/console`.

use std::fs;
use std::os::unix::fs::symlink;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Output, Result, TerminalSession, Test, Verdict, check, tests,
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{text, without};

pub const TESTS: &[Test] =
    tests![user_side_that_is_a_link, terminals_that_are_regular_files, console_that_is_a_link,];

fn run(t: &Context, bundle: &Bundle) -> Result<(Output, String)> {
    TerminalSession::start(t.run_with(bundle, &[])?, 24, 80)?.finish()
}

/// A terminal is one of a devpts, at `/dev/console` as well as on the streams; or there is none.
const LOOK: &str = "stat -c 'is %F' -L /dev/console; [ -t 0 ] && stat -c 'is %F' -L /proc/self/fd/0; cat /stand-in; true";

fn check_terminal(t: &Context, bundle: &Bundle) -> Result<()> {
    fs::write(bundle.rootfs().join("stand-in"), "core\n")?;
    let (output, seen) = run(t, bundle)?;
    let terminal = !seen.contains("is regular");
    check!(output.code() != 0 || terminal, "no terminal: {seen}");
    let stand_in = fs::read_to_string(bundle.rootfs().join("stand-in"))?;
    check!(stand_in == "core\n", "written to: {stand_in:?}");
    t.check_sentinel()
}

/// CVE-2025-52565. The user's side of a terminal is looked for where a neighbour has put a link: what it leads to
/// would be at `/dev/console`, before anything is hidden and protected.
fn user_side_that_is_a_link(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("core_pattern");
    let pts = t.path("pts");
    fs::create_dir_all(pts.join("pts"))?;
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, pts.join("ptmx"), FileType::CharacterDevice, mode, makedev(5, 2))?;
    for link in [text(&outside), "/stand-in".to_owned()] {
        for number in 0..8 {
            let path = pts.join(number.to_string());
            fs::remove_file(&path).unwrap_or_default();
            symlink(&link, path)?;
        }
        let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
        let bundle = without(t.bundle()?, "/dev/pts").set("/process/terminal", true);
        let bundle = bundle.mount("/dev/pts", "bind", &text(&pts), &["bind"]);
        // The kernel finds it beside the ptmx that is opened.
        let bundle = bundle.mount("/dev/pts/pts", "devpts", "devpts", &options);
        check_terminal(t, &bundle.script(LOOK))?;
    }
    Ok(Passed)
}

/// CVE-2025-52565. Whoever opens them gets what the attacker wrote.
fn terminals_that_are_regular_files(t: &mut Context) -> Result<Verdict> {
    t.sentinel()?;
    let pts = t.path("pts");
    fs::create_dir(&pts)?;
    for name in ["ptmx", "0", "1", "2"] {
        fs::write(pts.join(name), "attacker\n")?;
    }
    let bundle = without(t.bundle()?, "/dev/pts").set("/process/terminal", true);
    let bundle = bundle.mount("/dev/pts", "bind", &text(&pts), &["bind"]);
    check_terminal(t, &bundle.script(LOOK))?;
    for name in ["ptmx", "0", "1", "2"] {
        check!(fs::read_to_string(pts.join(name))? == "attacker\n", "{name} was written to");
    }
    Ok(Passed)
}

/// CVE-2025-52565. The terminal covers what is named `/dev/console` and nothing else.
fn console_that_is_a_link(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("core_pattern");
    for link in [text(&outside), "/stand-in".to_owned(), "../etc/passwd".to_owned()] {
        let bundle = without(t.bundle()?, "/dev").set("/process/terminal", true);
        symlink(&link, bundle.rootfs().join("dev/console"))?;
        let options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
        let bundle = bundle.mount("/dev/pts", "devpts", "devpts", &options);
        let script = "grep -e passwd -e stand-in /proc/self/mountinfo; true";
        fs::write(bundle.rootfs().join("stand-in"), "core\n")?;
        let (output, seen) = run(t, &bundle.script(script))?;
        check!(output.code() != 0 || !seen.contains("devpts"), "mounted elsewhere: {seen}");
        t.check_sentinel()?;
    }
    Ok(Passed)
}
