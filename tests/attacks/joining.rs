//! Containers that lie in wait for whoever executes something in them.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Container, Context, Result, Test, Verdict, check, check_eq, check_has, rounds, tests,
};

use super::descriptors::LEAK;
use super::idle;

pub const TESTS: &[Test] = tests![
    what_exec_has_open,
    what_exec_has_open_for_who_may_trace_it,
    what_exec_has_open_in_a_shared_pid_namespace,
];

const EXECS: u32 = 240;
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
        let seen = container.stdout()?;
        check!(!seen.contains("escaped") && !seen.contains("wrote"), "{seen}");
    }
    let seen = container.stdout()?;
    check!(!seen.contains("escaped") && !seen.contains("wrote"), "{seen}");
    // It had something to look at, and looked to the end.
    check_has!(seen, "saw /proc/");
    check_eq!(container.status()?, "running");
    check!(fs::read(t.runtime().path())? == runtime, "the runtime has been written to");
    container.delete_forcibly().map(drop)
}

/// CVE-2016-9962. A process that enters a container is not to be traced, and has nothing of the host open.
fn what_exec_has_open(t: &mut Context) -> Result<Verdict> {
    is_blind(t, t.bundle()?)?;
    Ok(Passed)
}

/// Every capability, with which it may look at whatever it sees.
fn what_exec_has_open_for_who_may_trace_it(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/noNewPrivileges", false);
    let all = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"];
    is_blind(t, bundle.capabilities(&all))?;
    Ok(Passed)
}

fn what_exec_has_open_in_a_shared_pid_namespace(t: &mut Context) -> Result<Verdict> {
    let neighbour = idle(t)?;
    let pid = format!("/proc/{}/ns/pid", neighbour.pid()?);
    is_blind(t, t.bundle()?.namespace("pid", Some(&pid)))?;
    neighbour.delete_forcibly()?;
    Ok(Passed)
}
