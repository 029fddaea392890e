//! Containers that attack whoever executes something in them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Container, Context, Result, Test, Verdict, check, check_eq, check_has, eventually,
    tests,
};

use super::{idle, rounds};

pub const TESTS: &[Test] = tests![
    shows_nothing_of_the_host_while_it_joins,
    shows_nothing_of_the_host_to_who_may_trace_it,
    shows_nothing_of_the_host_in_a_shared_pid_namespace,
    does_not_start_in_a_directory_of_the_host,
    no_container_starts_in_a_directory_of_the_host,
    does_not_execute_through_a_descriptor,
    gives_a_script_nothing_to_overwrite,
    runs_no_program_of_the_container_outside,
];

const EXECS: u32 = 500;
const AT_ONCE: u32 = 4;

/// Looks at every process but its own over and over, with nothing but what the shell itself can do.
///
/// Through a directory of the host it would find the file of the first argument, and through a program that
/// is not in the container it would write.
const SPY: &str = r#"
    sentinel=$1; up=../../../../../../../../../..
    look() { [ -e "$1$sentinel" ] || [ -e "$1/$up$sentinel" ] && echo "escaped through $1"; }
    echo ready
    while :; do
        for p in /proc/[0-9]*; do
            case $p in /proc/1|/proc/$$) continue;; esac
            seen=yes
            look $p/root; look $p/cwd
            for d in $p/fd/*; do look $d; done
            for t in $p/task/*/fd/*; do look $t; done
            if [ -e $p/exe ] && ! [ $p/exe -ef /bin/busybox ]; then
                { echo x >> $p/exe; } 2> /dev/null && echo "wrote to $p/exe"
                # Nor once nobody executes it any more.
                {
                    i=0; while [ -e $p ] && [ $i -lt 3000 ]; do i=$((i + 1)); done
                    { echo x >> /proc/self/fd/8; } 2> /dev/null && echo "wrote to the file of $p"
                } 8< $p/exe 2> /dev/null
            fi
            [ -n "$seen" ] && [ -z "$told" ] && { told=yes; echo "saw $p"; }
        done
    done
"#;

fn spy(t: &Context, bundle: Bundle) -> Result<Container> {
    let sentinel = t.path("sentinel");
    fs::write(&sentinel, "host\n")?;
    let bundle = bundle.args(&["sh", "-c", SPY, "spy", &sentinel.to_string_lossy()]);
    let container = t.start(&bundle)?;
    container.wait_for("ready")?;
    Ok(container)
}

/// Executes many programs while it looks, as somebody who leaves directories of the host open.
fn is_blind(t: &Context, bundle: Bundle) -> Result<()> {
    let runtime = fs::read(t.runtime().path())?;
    let container = spy(t, bundle)?;
    for _ in 0..rounds(EXECS) / AT_ONCE {
        let some = (0..AT_ONCE).map(|_| container.exec(&["true"]).after(LEAK).spawn());
        for one in some.collect::<Result<Vec<_>>>()? {
            one.wait()?.expect(0)?;
        }
    }
    let seen = container.stdout()?;
    check!(!seen.contains("escaped") && !seen.contains("wrote"), "{seen}");
    // It had something to look at, and looked to the end.
    check_has!(seen, "saw /proc/");
    check_eq!(container.status()?, "running");
    check!(fs::read(t.runtime().path())? == runtime, "the runtime has been written to");
    container.delete_forcibly().map(drop)
}

fn shows_nothing_of_the_host_while_it_joins(t: &mut Context) -> Result<Verdict> {
    is_blind(t, t.bundle()?)?;
    Ok(Passed)
}

/// Every capability, with which it may look at whatever it sees.
fn shows_nothing_of_the_host_to_who_may_trace_it(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/noNewPrivileges", false);
    let all = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"];
    is_blind(t, bundle.capabilities(&all))?;
    Ok(Passed)
}

fn shows_nothing_of_the_host_in_a_shared_pid_namespace(t: &mut Context) -> Result<Verdict> {
    let neighbour = idle(t)?;
    let pid = format!("/proc/{}/ns/pid", neighbour.pid()?);
    is_blind(t, t.bundle()?.namespace("pid", Some(&pid)))?;
    neighbour.delete_forcibly()?;
    Ok(Passed)
}

/// Descriptors of the host's directories that somebody careless leaves open.
const LEAK: &str = "exec 3</ 4</etc 5</ 6</etc 7</ 8</ 9</";

fn does_not_start_in_a_directory_of_the_host(t: &mut Context) -> Result<Verdict> {
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

fn no_container_starts_in_a_directory_of_the_host(t: &mut Context) -> Result<Verdict> {
    for number in 3..=64 {
        let bundle = t.bundle()?.set("/process/cwd", format!("/proc/self/fd/{number}"));
        let bundle = bundle.args(&["echo", "escaped"]);
        let output = t.run_with(&bundle, &[])?.after(LEAK).run()?;
        check!(output.code() == 1 && output.stdout.is_empty(), "{number}: {output}");
        fs::remove_dir_all(bundle.directory())?;
    }
    Ok(Passed)
}

/// execve(2) follows it before it closes anything.
fn does_not_execute_through_a_descriptor(t: &mut Context) -> Result<Verdict> {
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

/// Holds every program that is not in the container open until nobody executes it, and writes to it then.
const WRITER: &str = r#"
    while :; do
        for p in /proc/[0-9]*; do
            [ -e $p/exe ] && ! [ $p/exe -ef /bin/busybox ] && {
                i=0; while [ -e $p ] && [ $i -lt 3000 ]; do i=$((i + 1)); done
                { echo x >> /proc/self/fd/8; } 2> /dev/null && echo wrote > /broken
            } 8< $p/exe 2> /dev/null
        done
    done
"#;

/// The interpreter of such a script is the program that executes it: the runtime's own.
fn gives_a_script_nothing_to_overwrite(t: &mut Context) -> Result<Verdict> {
    let runtime = fs::read(t.runtime().path())?;
    let bundle = t.bundle()?.writable().idle();
    let write = |name: &str, text: &str| -> Result<PathBuf> {
        let path = bundle.rootfs().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    };
    write("itself", "#!/proc/self/exe\n")?;
    write("other", "#!/proc/self/exe exec\n")?;
    let container = t.start(&bundle)?;
    for script in ["/itself", "/other"] {
        container.exec_with(&["--detach"], &["sh", "-c", WRITER]).succeed()?;
        for _ in 0..rounds(50) {
            let output = container.exec(&[script]).deadline(5).run()?;
            check!(output.code() != 0, "{output}");
        }
    }
    check!(!bundle.rootfs().join("broken").exists(), "its file could be written to");
    check!(fs::read(t.runtime().path())? == runtime, "the runtime has been written to");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// Not as newuidmap, nsenter or anything else of that kind.
fn runs_no_program_of_the_container_outside(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.writable().idle();
    for name in ["nsenter", "newuidmap", "newgidmap", "setpriv", "getent", "ps", "id"] {
        let path = bundle.rootfs().join("bin").join(name);
        if path.is_symlink() {
            fs::remove_file(&path)?;
        }
        fs::write(&path, "#!/bin/sh\necho $0 >> /executed\n")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let container = t.start(&bundle)?;
    container.exec_with(&["--user", "1000"], &["true"]).succeed()?;
    container.command("ps", &[]).succeed()?;
    check!(!bundle.rootfs().join("executed").exists(), "something was executed");
    check_eq!(container.exec(&["id"]).run()?.code(), 0);
    eventually("the file", || Ok(bundle.rootfs().join("executed").exists().then_some(())))?;
    container.delete_forcibly()?;
    Ok(Passed)
}
