//! Descriptors of the host: those that a careless caller leaves open, and those of the runtime itself.

use std::fs;
use std::os::unix::fs::symlink;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, check_eq, tests};

use super::idle;

pub const TESTS: &[Test] = tests![
    working_directories_behind_descriptors,
    working_directories_of_exec_behind_descriptors,
    programs_behind_descriptors,
    programs_of_exec_behind_descriptors,
    descriptors_of_a_careless_caller,
    directories_that_are_open_while_it_waits,
];

/// Descriptors of the host's directories that somebody careless leaves open.
pub const LEAK: &str = "exec 3</ 4</etc 5</ 6</etc 7</ 8</ 9</";

/// CVE-2024-21626.
fn working_directories_of_exec_behind_descriptors(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.idle();
    for number in 3..=64 {
        symlink(format!("/proc/self/fd/{number}"), bundle.rootfs().join(format!("link{number}")))?;
    }
    let container = t.start(&bundle)?;
    for number in 3..=64 {
        for path in [format!("/proc/self/fd/{number}"), format!("/link{number}")] {
            let exec = container.exec_with(&["--cwd", &path], &["echo", "escaped"]).after(LEAK);
            let output = exec.run()?;
            check!(output.code() != 0 && output.stdout.is_empty(), "{path}: {output}");
        }
    }
    // Also not in one that is passed on.
    for path in ["/proc/self/fd/3", "/proc/self/fd/5", "/link5"] {
        let flags = ["--preserve-fds", "3", "--cwd", path];
        let exec = container.exec_with(&flags, &["echo", "escaped"]);
        let output = exec.after("exec 3</ 4</ 5</etc").run()?;
        check!(output.code() != 0 && output.stdout.is_empty(), "{path}: {output}");
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// CVE-2024-21626.
fn working_directories_behind_descriptors(t: &mut Context) -> Result<Verdict> {
    for number in 3..=64 {
        let bundle = t.bundle()?.set("/process/cwd", format!("/proc/self/fd/{number}"));
        let bundle = bundle.args(&["echo", "escaped"]);
        let output = t.run_with(&bundle, &[])?.after(LEAK).run()?;
        check!(output.code() != 0 && output.stdout.is_empty(), "{number}: {output}");
        fs::remove_dir_all(bundle.directory())?;
    }
    let bundle = t.bundle()?.set("/process/cwd", "/link/../../..").args(&["echo", "escaped"]);
    symlink("/proc/self/fd/7", bundle.rootfs().join("link"))?;
    let output = t.run_with(&bundle, &[])?.after(LEAK).run()?;
    check!(output.code() != 0 && output.stdout.is_empty(), "{output}");
    Ok(Passed)
}

/// CVE-2024-21626. execve(2) follows the path before it closes anything.
fn programs_of_exec_behind_descriptors(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let host = t.path("echo");
    fs::copy("/bin/busybox", &host)?;
    let host = host.to_string_lossy();
    for number in 3..24 {
        for path in
            [format!("/proc/self/fd/{number}{host}"), format!("/proc/self/fd/{number}/..{host}")]
        {
            let output = container.exec(&[&path, "escaped"]).after(LEAK).run()?;
            check!(output.code() != 0 && output.stdout.is_empty(), "{path}: {output}");
        }
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

/// CVE-2024-21626. A path through `/proc/self/fd` leads from a descriptor of a directory to all that is around it, and
/// execve(2) follows it before it closes anything.
fn programs_behind_descriptors(t: &mut Context) -> Result<Verdict> {
    let program = t.path("echo");
    fs::copy("/bin/busybox", &program)?;
    let leak = format!("exec 9<'{}'", t.path("").display());
    for number in 3..24 {
        for way in ["..", "../..", "."] {
            let host = program.to_string_lossy();
            let path = match way {
                "." => format!("/proc/self/fd/{number}/echo"),
                way => format!("/proc/self/fd/{number}/{way}{host}"),
            };
            let output =
                t.run_with(&t.bundle()?.args(&[&path, "escaped"]), &[])?.after(&leak).run()?;
            check!(output.code() != 0 && !output.stdout.contains("escaped"), "{path}: {output}");
        }
    }
    Ok(Passed)
}

/// CVE-2024-21626 and its kin: what the caller forgot to close is not the container's.
fn descriptors_of_a_careless_caller(t: &mut Context) -> Result<Verdict> {
    let script = "cd /proc/self/fd; for n in *; do readlink $n; done; ls 9/ 2> /dev/null; true";
    let bundle = t.bundle()?.script(script);
    let seen = |output: &str| output.lines().filter(|line| *line == "/" || *line == "/etc").count();
    let output = t.run_with(&bundle, &[])?.after(LEAK).run()?.expect(0)?;
    check_eq!(seen(&output.stdout), 0);
    let container = idle(t)?;
    let output = container.exec(&["sh", "-c", script]).after(LEAK).run()?.expect(0)?;
    check_eq!(seen(&output.stdout), 0);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn directories_that_are_open_while_it_waits(t: &mut Context) -> Result<Verdict> {
    let container = t.create_with(&t.bundle()?.idle(), &[])?;
    for entry in fs::read_dir(format!("/proc/{}/fd", container.pid()?))? {
        let path = entry?.path();
        check!(!fs::metadata(&path).is_ok_and(|file| file.is_dir()), "{:?}", fs::read_link(&path));
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
