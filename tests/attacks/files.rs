//! Files of the image that a runtime reads or might execute.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, eventually, tests};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::text;

pub const TESTS: &[Test] =
    tests![user_database_of_an_attacker, programs_that_a_runtime_might_call,];

/// CVE-2019-10152, CVE-2024-9676, CVE-2025-4437, CVE-2026-47262. What the image has as `/etc/passwd` may hold up
/// nobody, and never be what lies outside.
fn user_database_of_an_attacker(t: &mut Context) -> Result<Verdict> {
    let outside = t.sentinel()?.join("etc/shadow");
    fs::set_permissions(t.path(""), fs::Permissions::from_mode(0o755))?;
    type Attack = fn(&Path, &Path) -> Result<()>;
    let attacks: [(&str, Attack); 5] = [
        ("a link to the host", |path, outside| Ok(symlink(outside, path)?)),
        ("a link that ends nowhere", |path, _| Ok(symlink("passwd", path)?)),
        ("a FIFO", |path, _| {
            Ok(mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0)?)
        }),
        ("a link to a device", |path, _| Ok(symlink("/dev/zero", path)?)),
        ("a gigabyte of nothing", |path, _| Ok(File::create(path)?.set_len(1 << 30)?)),
    ];
    for (name, attack) in attacks {
        for file in ["passwd", "group"] {
            let bundle = t.bundle()?.remove("/process/env").set("/process/user/uid", 1000);
            let path = bundle.rootfs().join("etc").join(file);
            fs::remove_file(&path)?;
            attack(&path, &outside)?;
            let bundle = bundle.args(&["/bin/sh", "-c", "echo $HOME"]);
            let command = t.run_with(&bundle, &[])?;
            // A runtime that cannot be held up needs no more than this, nor more memory than that.
            let output = command.after("ulimit -v 8000000; ulimit -t 5").deadline(10).run()?;
            check!(output.code() >= 0 && !output.stdout.contains('*'), "{name}: {output}");
        }
    }
    Ok(Passed)
}

/// CVE-2022-1227. A runtime that needs a helper takes the host's.
fn programs_that_a_runtime_might_call(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable().idle();
    for name in ["nsenter", "newuidmap", "newgidmap", "setpriv", "getent", "ps", "id", "mount"] {
        let path = bundle.rootfs().join("bin").join(name);
        if path.is_symlink() {
            fs::remove_file(&path)?;
        }
        fs::write(&path, "#!/bin/sh\necho $0 >> /executed\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let executed = bundle.rootfs().join("executed");
    let container = t.start(&bundle)?;
    container.exec_with(&["--user", "1000"], &["true"]).succeed()?;
    // Others want `-o pid` or so on some hosts; whether it works is not the matter.
    container.command("ps", &[]).run()?;
    check!(!executed.exists(), "something was executed: {}", text(&executed));
    check_eq!(container.exec(&["id"]).run()?.code(), 0);
    eventually("the file", || Ok(executed.exists().then_some(())))?;
    container.delete_forcibly()?;
    Ok(Passed)
}
