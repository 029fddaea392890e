//! What confines the container confines what is executed in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Container, Context, Result, Test, Verdict, check, check_eq, check_has, need, tests,
};
use serde_json::json;

use super::{field, idle};

pub const TESTS: &[Test] = tests![
    is_masked_limited_and_ranked_as_the_container,
    is_scheduled_as_the_container,
    is_filtered_as_the_container,
    has_the_capabilities_of_the_container,
    gains_a_capability,
    passes_no_capability_on,
    leaves_other_inheritable_capabilities_as_they_are,
    refuses_capabilities_that_nobody_knows,
    gains_no_privileges_if_asked,
    sees_what_the_container_sees,
    starts_with_no_signal_blocked_or_ignored,
];

const KILL: u64 = 1 << 5;
const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_RAW: u64 = 1 << 13;
const AUDIT_WRITE: u64 = 1 << 29;

fn status(container: &Container, flags: &[&str]) -> Result<String> {
    Ok(container.exec_with(flags, &["cat", "/proc/self/status"]).succeed()?.stdout)
}

/// The bounding, effective, permitted, inheritable and ambient set.
fn sets(container: &Container, flags: &[&str]) -> Result<[u64; 5]> {
    let status = status(container, flags)?;
    let mut sets = [0; 5];
    for (set, name) in sets.iter_mut().zip(["Bnd", "Eff", "Prm", "Inh", "Amb"]) {
        *set = u64::from_str_radix(field(&status, &format!("Cap{name}")), 16)?;
    }
    Ok(sets)
}

fn is_masked_limited_and_ranked_as_the_container(t: &mut Context) -> Result<Verdict> {
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}]);
    let bundle = t.bundle()?.set("/process/rlimits", limits).set("/process/user/umask", 0o077);
    let container = t.start(&bundle.set("/process/oomScoreAdj", 321).idle())?;
    let script = "umask; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj";
    let exec = container.exec(&["sh", "-c", script]).after("umask 007; ulimit -Sn 99");
    check_eq!(exec.succeed()?.lines(), ["0077", "55", "66", "321"]);
    container.delete_forcibly()?;
    let container = idle(t)?;
    let exec = container.exec(&["sh", "-c", "umask"]).after("umask 007");
    check_eq!(exec.succeed()?.text(), "0022");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_scheduled_as_the_container(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the packaged peers know none of these fields");
    let bundle = t.bundle()?.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 4}));
    let class = json!({"class": "IOPRIO_CLASS_BE", "priority": 5});
    let bundle = bundle.set("/process/ioPriority", class);
    let bundle = bundle.set("/linux/personality/domain", "LINUX32");
    let bundle = bundle.idle();
    let output = t.run(&bundle.clone().args(&["true"]))?;
    need!(!output.stderr.contains("not supported yet"), "these fields are not supported yet");
    let container = t.start(&bundle)?;
    // The names of processes may have spaces, the shell's does not.
    let script = "set -- $(cat /proc/self/stat); echo ${41} ${19}; ionice -p $$; uname -m";
    let output = container.script(script)?;
    check_eq!(output.lines()[..2], ["3 4", "best-effort: prio 5"]);
    check!(["i686", "armv8l"].contains(&output.lines()[2]), "{output}");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn is_filtered_as_the_container(t: &mut Context) -> Result<Verdict> {
    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
    });
    for no_new_privileges in [true, false] {
        let bundle = t.bundle()?.set("/linux/seccomp", filter.clone());
        let bundle = bundle.set("/process/noNewPrivileges", no_new_privileges);
        let container = t.start(&bundle.idle())?;
        for flags in [&[][..], &["--user", "1000"], &["--no-new-privs"]] {
            let output = container.exec_with(flags, &["mkdir", "/dev/shm/x"]).run()?.expect(1)?;
            output.says(&["not supported"])?;
            check_eq!(field(&status(&container, flags)?, "Seccomp"), "2");
        }
        container.delete_forcibly()?;
    }
    Ok(Passed)
}

fn has_the_capabilities_of_the_container(t: &mut Context) -> Result<Verdict> {
    let given = KILL | NET_BIND_SERVICE | AUDIT_WRITE;
    let container = idle(t)?;
    check_eq!(sets(&container, &[])?, [given, given, given, 0, 0]);
    check_eq!(sets(&container, &["--user", "1000"])?, [given, 0, 0, 0, 0]);
    container.delete_forcibly()?;
    let container = t.start(&t.bundle()?.remove("/process/capabilities").idle())?;
    check_eq!(sets(&container, &[])?, [0; 5]);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn gains_a_capability(t: &mut Context) -> Result<Verdict> {
    let container = t.start(&t.bundle()?.capabilities(&["CAP_KILL"]).idle())?;
    let flags = ["--cap", "CAP_NET_RAW"];
    let given = KILL | NET_RAW;
    check_eq!(sets(&container, &flags)?, [given, given, given, 0, 0]);
    let flags = ["-c", "CAP_NET_RAW", "-c", "CAP_AUDIT_WRITE", "-c", "CAP_KILL"];
    let given = given | AUDIT_WRITE;
    check_eq!(sets(&container, &flags)?, [given, given, given, 0, 0]);
    // Only while it lasts.
    check_eq!(sets(&container, &[])?, [KILL, KILL, KILL, 0, 0]);
    let list = container.exec_with(&["--cap", "CAP_SYS_ADMIN"], &["hostname", "named"]).run()?;
    list.expect(0)?;
    check_eq!(container.script("hostname")?.text(), "named");
    container.delete_forcibly()?;
    Ok(Passed)
}

/// A copy of busybox with capabilities of its own.
fn with_file_capabilities(bundle: &Bundle, name: &str, capabilities: &str) -> Result<()> {
    let file = bundle.rootfs().join("bin").join(name);
    fs::copy("/bin/busybox", &file)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Cmd::new("setcap").arg(capabilities).arg(&file).succeed()?;
    Ok(())
}

/// A program with inheritable capabilities gets what it may inherit, whoever executes it.
fn passes_no_capability_on(t: &mut Context) -> Result<Verdict> {
    need!(t.host().has_program("setcap"), "no setcap");
    let bundle = t.bundle()?.set("/process/noNewPrivileges", false).capabilities(&["CAP_KILL"]);
    let bundle = bundle.idle();
    with_file_capabilities(&bundle, "inherits", "cap_net_raw+ei")?;
    with_file_capabilities(&bundle, "permits", "cap_net_raw+ep")?;
    let container = t.start(&bundle)?;
    let effective = |flags: &[&str], program: &str| -> Result<u64> {
        let link = format!("exec -a cat /bin/{program} /proc/self/status");
        let exec = container.exec_with(flags, &["sh", "-c", &link]).succeed()?;
        Ok(u64::from_str_radix(field(&exec.stdout, "CapEff"), 16)?)
    };
    let user = ["--user", "1000", "--cap", "CAP_NET_RAW"];
    check_eq!(sets(&container, &user)?, [KILL | NET_RAW, 0, 0, 0, 0]);
    check_eq!(effective(&user, "inherits")?, 0);
    // The file system and the kernel do their part.
    check_eq!(effective(&user, "permits")?, NET_RAW);
    container.delete_forcibly()?;
    Ok(Passed)
}

fn leaves_other_inheritable_capabilities_as_they_are(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.capabilities(&["CAP_KILL"]);
    let bundle = bundle.set("/process/capabilities/inheritable", json!(["CAP_KILL"]));
    let container = t.start(&bundle.idle())?;
    let [bounding, effective, permitted, inheritable, _] =
        sets(&container, &["--cap", "CAP_NET_RAW"])?;
    check_eq!([bounding, effective, permitted], [KILL | NET_RAW; 3]);
    check_eq!(inheritable & !NET_RAW, KILL);
    if t.is_coracle() {
        check_eq!(inheritable, KILL);
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn refuses_capabilities_that_nobody_knows(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others ignore or pass on what they do not know");
    let container = idle(t)?;
    for wrong in ["CAP_FUTURE", "", "ALL"] {
        let output = container.exec_with(&["--cap", wrong], &["true"]).run()?;
        check!([1, 255].contains(&output.code()), "{wrong:?}: {output}");
        output.says(&["is no capability", wrong])?;
    }
    container.delete_forcibly()?;
    Ok(Passed)
}

fn gains_no_privileges_if_asked(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/noNewPrivileges", false);
    let container = t.start(&bundle.idle())?;
    check_eq!(field(&status(&container, &[])?, "NoNewPrivs"), "0");
    check_eq!(field(&status(&container, &["--no-new-privs"])?, "NoNewPrivs"), "1");
    container.delete_forcibly()?;
    let container = idle(t)?;
    check_eq!(field(&status(&container, &[])?, "NoNewPrivs"), "1");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn sees_what_the_container_sees(t: &mut Context) -> Result<Verdict> {
    let secret = t.path("secret");
    fs::write(&secret, "secret\n")?;
    let container = t.start(&t.bundle()?.mount("/mnt", "tmpfs", "tmpfs", &[]).idle())?;
    container.script("echo shared > /mnt/file")?;
    check_eq!(container.script("cat /mnt/file")?.text(), "shared");
    let script =
        format!("cat {}; touch /x; cat /proc/kcore | wc -c; ls /proc/1/root/", secret.display());
    let output = container.exec(&["sh", "-c", &script]).succeed()?;
    output.says(&["No such file", "Read-only file system"])?;
    check_eq!(output.lines()[0].trim(), "0");
    check_has!(output.stdout, "bin\n");
    container.delete_forcibly()?;
    Ok(Passed)
}

fn starts_with_no_signal_blocked_or_ignored(t: &mut Context) -> Result<Verdict> {
    let container = idle(t)?;
    let exec = container.exec(&["cat", "/proc/self/status"]);
    let output = exec.after("trap '' HUP INT TERM USR1 PIPE CHLD").succeed()?;
    for set in ["SigBlk", "SigIgn", "SigPnd", "ShdPnd"] {
        check_eq!((set, u64::from_str_radix(field(&output.stdout, set), 16)?), (set, 0));
    }
    container.delete_forcibly()?;
    Ok(Passed)
}
