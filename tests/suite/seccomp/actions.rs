//! What becomes of a system call.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Cmd, Context, Result, Test, Verdict, check, check_eq, eventually, need, tests,
};
use serde_json::json;

use super::probe::{
    GETPPID, GETPPID_OF_X32, GETPPID_OF_X86, GETUID, GETUID_OF_X86, attempt, install, socket,
    supported,
};
use super::{filter, on_getppid};

pub const TESTS: &[Test] = tests![
    denies_with_and_without_no_new_privs,
    denies_to_users_too,
    takes_the_errno_that_is_asked_for,
    kills,
    lets_pass_what_is_only_logged,
    is_told_to_the_kernels_log,
    fails_what_nobody_traces,
    is_left_to_the_tracer,
    allows_only_what_is_listed,
    ends_where_nothing_is_allowed,
    says_of_new_calls_that_there_are_none,
    compares_arguments,
    covers_the_other_architectures,
    kills_programs_of_architectures_that_are_not_listed,
    has_an_effect_on_ordinary_programs,
    has_no_filter_without_a_profile,
];

fn has_filter(t: &Context, bundle: Bundle) -> Result<String> {
    let output = t.run(&bundle.script("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status"))?;
    Ok(output.expect(0)?.stdout.replace('\t', " "))
}

fn denies_with_and_without_no_new_privs(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    for flag in [true, false] {
        let bundle = || -> Result<Bundle> { Ok(t.bundle()?.set("/process/noNewPrivileges", flag)) };
        let denying = on_getppid(bundle()?, "SCMP_ACT_ERRNO");
        let shown = format!("NoNewPrivs: {}\nSeccomp: 2\n", u8::from(flag));
        check_eq!(has_filter(t, denying.clone())?, shown);
        attempt(t, denying, GETPPID)?.expect(1)?;
        attempt(t, on_getppid(bundle()?, "SCMP_ACT_ERRNO"), GETUID)?.expect(0)?;
        attempt(t, bundle()?, GETPPID)?.expect(0)?;
    }
    Ok(Passed)
}

fn denies_to_users_too(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    for flag in [true, false] {
        let bundle = t.bundle()?.set("/process/user/uid", 1000).capabilities(&[]);
        let bundle = bundle.set("/process/noNewPrivileges", flag);
        attempt(t, on_getppid(bundle, "SCMP_ACT_ERRNO"), GETPPID)?.expect(1)?;
    }
    Ok(Passed)
}

fn takes_the_errno_that_is_asked_for(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    for errno in [13, 38, 99] {
        let rules = json!([
            {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno}
        ]);
        attempt(t, filter(t.bundle()?, "SCMP_ACT_ALLOW", rules), GETPPID)?.expect(errno)?;
    }
    let bundle = t.bundle()?.set("/linux/seccomp/defaultErrnoRet", 77);
    let bundle = bundle.set("/linux/seccomp/defaultAction", "SCMP_ACT_ERRNO");
    let allowed = json!([{"names": ["execve", "exit_group"], "action": "SCMP_ACT_ALLOW"}]);
    attempt(t, bundle.set("/linux/seccomp/syscalls", allowed), GETPPID)?.expect(77)?;
    Ok(Passed)
}

fn kills(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    // SIGSYS has number 31.
    for action in ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"] {
        for flag in [true, false] {
            let bundle = t.bundle()?.set("/process/noNewPrivileges", flag);
            // The first process of a pid namespace is spared a signal that it does not handle, but not this.
            let bundle = on_getppid(bundle, &format!("SCMP_ACT_{action}"));
            attempt(t, bundle, GETPPID)?.expect(159)?;
        }
    }
    Ok(Passed)
}

fn lets_pass_what_is_only_logged(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    attempt(t, on_getppid(t.bundle()?, "SCMP_ACT_LOG"), GETPPID)?.expect(0)?;
    Ok(Passed)
}

/// By its action, or by a flag any action but the permission.
fn is_told_to_the_kernels_log(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let log = || Cmd::new("dmesg").succeed();
    need!(t.host().is_root() && log().is_ok(), "the kernel's log cannot be read");
    let told = |action: &str, given: &[&str]| -> Result<bool> {
        let name = t.id();
        let bundle = on_getppid(t.bundle()?, action).set("/linux/seccomp/flags", json!(given));
        install(&bundle, GETPPID)?;
        std::fs::rename(bundle.rootfs().join("probe"), bundle.rootfs().join(&name))?;
        t.run(&bundle.args(&[&format!("/{name}")]))?;
        Ok(log()?.stdout.contains(&format!("exe=\"/{name}\"")))
    };
    let flag = ["SECCOMP_FILTER_FLAG_LOG"];
    // The kernel drops what is told too often.
    let some = |action, flags: &[&str]| {
        eventually("a line in the log", || Ok(told(action, flags)?.then_some(())))
    };
    if let Err(error) = some("SCMP_ACT_LOG", &[]) {
        return Ok(Verdict::Skipped(format!("the kernel logs no system calls: {error}")));
    }
    some("SCMP_ACT_ERRNO", &flag)?;
    for (action, flags) in [("SCMP_ACT_ERRNO", &[][..]), ("SCMP_ACT_ALLOW", &flag)] {
        check!(!told(action, flags)?, "{action} {flags:?}");
    }
    Ok(Passed)
}

fn fails_what_nobody_traces(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    attempt(t, on_getppid(t.bundle()?, "SCMP_ACT_TRACE"), GETPPID)?.expect(38)?;
    Ok(Passed)
}

/// Attaches with `PTRACE_O_TRACESECCOMP`, prints what `PTRACE_GETEVENTMSG` says at each call that is for tracers,
/// and at last the exit code. By the numbers that the calls have on x86-64.
const TRACER: &str = r#"
    $| = 1; $pid = $ARGV[0] + 0; $status = "\0" x 4; $data = "\0" x 8;
    syscall(101, 0x4206, $pid, 0, 0x80) == 0 or die $!; print "seized\n";
    while (syscall(61, $pid, $status, 0x40000000, 0) == $pid) {
        $how = unpack("I", $status); $event = $how >> 16;
        if (($how & 0x7f) == 0) { print $how >> 8, "\n"; last }
        if ($event == 7) { syscall(101, 0x4201, $pid, 0, $data); print unpack("Q", $data), "\n" }
        syscall(101, 7, $pid, 0, $event ? 0 : $how >> 8 & 0xff);
    }"#;

fn is_left_to_the_tracer(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    need!(t.host().has_program("perl"), "no perl");
    let rules = json!([{"names": ["getppid"], "action": "SCMP_ACT_TRACE", "errnoRet": 77}]);
    let bundle = filter(t.bundle()?, "SCMP_ACT_ALLOW", rules);
    install(&bundle, GETPPID)?;
    let container = t.create(&bundle.args(&["/probe"]))?;
    let tracer = Cmd::new("perl").args(["-e", TRACER, &container.pid()?.to_string()]).spawn()?;
    eventually("the tracer", || Ok(tracer.stdout()?.contains("seized").then_some(())))?;
    container.start()?;
    check_eq!(tracer.wait()?.expect(0)?.lines(), ["seized", "77", "0"]);
    container.finish()?;
    Ok(Passed)
}

/// With no_new_privs nothing of the set-up must be on the list.
fn allows_only_what_is_listed(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let allowed = json!([
        {"names": ["execve", "exit_group", "getppid"], "action": "SCMP_ACT_ALLOW"}
    ]);
    let strict = |default: &str| -> Result<Bundle> {
        let bundle = t.bundle()?.set("/process/noNewPrivileges", true);
        Ok(filter(bundle, default, allowed.clone()))
    };
    attempt(t, strict("SCMP_ACT_ERRNO")?, GETPPID)?.expect(0)?;
    attempt(t, strict("SCMP_ACT_ERRNO")?, GETUID)?.expect(1)?;
    attempt(t, strict("SCMP_ACT_KILL_PROCESS")?, GETPPID)?.expect(0)?;
    attempt(t, strict("SCMP_ACT_KILL_PROCESS")?, GETUID)?.expect(159)?;
    Ok(Passed)
}

/// Without no_new_privs the rest of the set-up is under the filter; it may not even exit.
fn ends_where_nothing_is_allowed(t: &mut Context) -> Result<Verdict> {
    let bundle = t.bundle()?.set("/process/noNewPrivileges", false);
    let output = t.run(&filter(bundle, "SCMP_ACT_ERRNO", json!([])))?;
    check!(output.code() != 0, "{output}");
    Ok(Passed)
}

/// A program that finds a call denied may give up; one that finds it missing tries an older one.
fn says_of_new_calls_that_there_are_none(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let allowed = json!([
        {"names": ["execve", "exit_group", "openat2"], "action": "SCMP_ACT_ALLOW"}
    ]);
    let strict =
        || -> Result<Bundle> { Ok(filter(t.bundle()?, "SCMP_ACT_ERRNO", allowed.clone())) };
    for newer in [600, 5000] {
        attempt(t, strict()?, super::probe::Call::Native(newer, 0, 0))?.expect(38)?;
    }
    // getuid(2) is older than openat2(2): the author knew it and left it out.
    attempt(t, strict()?, GETUID)?.expect(1)?;
    Ok(Passed)
}

fn compares_arguments(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let (local, internet) = (1, 2);
    let deny = |args: serde_json::Value| -> Result<Bundle> {
        let rules = json!([{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": args}]);
        Ok(filter(t.bundle()?, "SCMP_ACT_ALLOW", rules))
    };
    let denied = |args: &serde_json::Value, call| -> Result<bool> {
        Ok(attempt(t, deny(args.clone())?, call)?.code() == 97)
    };
    let equal = json!([{"index": 0, "op": "SCMP_CMP_EQ", "value": internet}]);
    check!(denied(&equal, socket(internet, 1))? && !denied(&equal, socket(local, 1))?);
    let other = json!([{"index": 0, "op": "SCMP_CMP_NE", "value": internet}]);
    check!(!denied(&other, socket(internet, 1))? && denied(&other, socket(local, 1))?);
    let masked = json!([{"index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 0xf, "valueTwo": 2}]);
    check!(denied(&masked, socket(local, 2 | 0o2_000_000))? && !denied(&masked, socket(local, 1))?);
    for (op, below, at, above) in [
        ("LT", true, false, false),
        ("LE", true, true, false),
        ("GT", false, false, true),
        ("GE", false, true, true),
    ] {
        let args = json!([{"index": 1, "op": format!("SCMP_CMP_{op}"), "value": 2}]);
        let found = (
            denied(&args, socket(local, 1))?,
            denied(&args, socket(local, 2))?,
            denied(&args, socket(local, 5))?,
        );
        check_eq!((op, found), (op, (below, at, above)));
    }
    let both = json!([
        {"index": 0, "op": "SCMP_CMP_EQ", "value": internet},
        {"index": 1, "op": "SCMP_CMP_GE", "value": 2}
    ]);
    check!(denied(&both, socket(internet, 2))? && !denied(&both, socket(internet, 1))?);
    check!(!denied(&both, socket(local, 2))?);
    Ok(Passed)
}

fn covers_the_other_architectures(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let architectures = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
    let bundle = || -> Result<Bundle> {
        let bundle = on_getppid(t.bundle()?, "SCMP_ACT_ERRNO");
        Ok(bundle.set("/linux/seccomp/architectures", architectures.clone()))
    };
    attempt(t, t.bundle()?, GETPPID_OF_X86)?.expect(0)?;
    attempt(t, bundle()?, GETPPID_OF_X86)?.expect(1)?;
    attempt(t, bundle()?, GETUID_OF_X86)?.expect(0)?;
    attempt(t, bundle()?, GETPPID)?.expect(1)?;
    // A kernel without x32 says ENOSYS of all of its calls, but the filter comes first.
    attempt(t, bundle()?, GETPPID_OF_X32)?.expect(1)?;
    Ok(Passed)
}

fn kills_programs_of_architectures_that_are_not_listed(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let bundle = on_getppid(t.bundle()?, "SCMP_ACT_ERRNO");
    let bundle = bundle.set("/linux/seccomp/architectures", json!(["SCMP_ARCH_X86_64"]));
    for call in [GETUID_OF_X86, GETPPID_OF_X32] {
        attempt(t, bundle.clone(), call)?.expect(159)?;
    }
    Ok(Passed)
}

fn has_an_effect_on_ordinary_programs(t: &mut Context) -> Result<Verdict> {
    let rules = json!([{"names": ["mkdir", "mkdirat", "nosuchcall"], "action": "SCMP_ACT_ERRNO"}]);
    let bundle = filter(t.bundle()?.writable(), "SCMP_ACT_ALLOW", rules);
    let output = t.run(&bundle.clone().script("mkdir /new; touch /file; ls -d /new /file"))?;
    check_eq!(output.text(), "/file");
    check!(output.stderr.contains("Operation not permitted"), "{output}");
    Ok(Passed)
}

fn has_no_filter_without_a_profile(t: &mut Context) -> Result<Verdict> {
    check!(has_filter(t, t.bundle()?)?.contains("Seccomp: 0"));
    Ok(Passed)
}
