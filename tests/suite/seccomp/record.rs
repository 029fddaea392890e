//! `run --seccomp-record`: what a filter would have denied.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::{Value, json};

use super::probe::{Call, attempt, install, supported};
use super::{filter, on_getppid};

pub const TESTS: &[Test] = tests![
    lets_pass_and_counts_what_is_denied,
    adds_up_to_a_profile_that_works,
    says_with_which_arguments,
    misses_nothing_that_another_rule_allows,
    needs_a_filter_and_the_foreground,
];

/// Runs a script while recording; what it printed, and the record.
fn record(t: &Context, bundle: &Bundle) -> Result<(String, Value)> {
    let file = t.path("denied.json");
    let flags = ["--seccomp-record", &file.to_string_lossy()];
    let output = t.run_with(bundle, &flags)?.succeed()?;
    check!(output.stderr.contains("the seccomp filter denied nothing"), "{output}");
    Ok((output.text().to_owned(), serde_json::from_slice(&fs::read(file)?)?))
}

fn lets_pass_and_counts_what_is_denied(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "a flag of coracle");
    for flag in [true, false] {
        let rules = json!([
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {"names": ["symlink"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["link"], "action": "SCMP_ACT_LOG"}
        ]);
        let bundle = filter(t.bundle()?.writable(), "SCMP_ACT_ALLOW", rules);
        let bundle = bundle.set("/process/noNewPrivileges", flag);
        let bundle =
            bundle.script("mkdir /a && mkdir /b && ln -s /a /c && ln /bin/busybox /d; ls -d /?");
        let (printed, report) = record(t, &bundle)?;
        check_eq!(printed, "/a\n/b\n/c\n/d");
        let calls = report["denied"].as_array().cloned().unwrap_or_default();
        let find = |name: &str| calls.iter().find(|call| call["syscall"] == name).cloned();
        let mkdir = find("mkdir").unwrap_or_default();
        check_eq!(
            (mkdir["count"].as_u64(), &mkdir["effect"]),
            (Some(2), &json!("fails with ENOSPC (no space left on device)"))
        );
        check_eq!(mkdir["programs"], json!(["/bin/busybox"]));
        check_eq!(find("symlink").unwrap_or_default()["effect"], "kills the process");
        check_eq!(calls.len(), 2);
        let addition = json!([{"names": ["mkdir", "symlink"], "action": "SCMP_ACT_ALLOW"}]);
        check_eq!(report["addition"], addition);
    }
    Ok(Passed)
}

/// Of a profile that allows nothing at all.
fn adds_up_to_a_profile_that_works(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "a flag of coracle");
    for flag in [true, false] {
        let bundle = |rules: Value| -> Result<Bundle> {
            let bundle = filter(t.bundle()?.writable(), "SCMP_ACT_ERRNO", rules);
            Ok(bundle.set("/process/noNewPrivileges", flag).script("mkdir /a && ls -d /a"))
        };
        let (printed, report) = record(t, &bundle(json!([]))?)?;
        check_eq!(printed, "/a");
        check_eq!(t.run(&bundle(report["addition"].clone())?)?.expect(0)?.text(), "/a");
    }
    Ok(Passed)
}

fn says_with_which_arguments(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle() && supported(), "a flag of coracle, and probes for x86-64");
    let args = json!([{"index": 0, "op": "SCMP_CMP_EQ", "value": 8}]);
    let rules = json!([
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": args},
        {"names": ["execve", "exit_group"], "action": "SCMP_ACT_ALLOW"}
    ]);
    let bundle = || -> Result<Bundle> {
        let bundle = filter(t.bundle()?, "SCMP_ACT_ERRNO", rules.clone());
        Ok(bundle.set("/process/noNewPrivileges", true))
    };
    let call = Call::Native(135, 0x2_0000, 0);
    attempt(t, bundle()?, call)?.expect(1)?;
    let file = t.path("denied.json");
    let bundle = bundle()?;
    install(&bundle, call)?;
    let flags = ["--seccomp-record", &file.to_string_lossy()];
    t.run_with(&bundle.args(&["/probe"]), &flags)?.run()?.expect(0)?;
    let report: Value = serde_json::from_slice(&fs::read(file)?)?;
    let args = json!([{"index": 0, "value": 0x2_0000, "op": "SCMP_CMP_EQ"}]);
    let rule = json!({"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": args});
    check_eq!(report["addition"], json!([rule]));
    Ok(Passed)
}

/// The first rule decides, and the one without comparisons before all others.
fn misses_nothing_that_another_rule_allows(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle() && supported(), "a flag of coracle, and probes for x86-64");
    let call = Call::Native(135, 8, 0);
    let args = json!([{"index": 0, "op": "SCMP_CMP_EQ", "value": 8}]);
    let small = json!([{"index": 0, "op": "SCMP_CMP_LT", "value": 9}]);
    let allow = json!({"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": args});
    let deny = json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38});
    let mut deny_small = deny.clone();
    deny_small["args"] = small;
    let needed = json!({"names": ["execve", "exit_group"], "action": "SCMP_ACT_ALLOW"});
    for rules in [
        json!([deny, allow, needed]),
        json!([allow, deny, needed]),
        json!([deny_small, allow, needed]),
    ] {
        let bundle = || -> Result<Bundle> {
            let bundle = filter(t.bundle()?, "SCMP_ACT_ERRNO", rules.clone());
            Ok(bundle.set("/process/noNewPrivileges", true))
        };
        attempt(t, bundle()?, call)?.expect(38)?;
        let (file, bundle) = (t.path("denied.json"), bundle()?);
        install(&bundle, call)?;
        let flags = ["--seccomp-record", &file.to_string_lossy()];
        t.run_with(&bundle.args(&["/probe"]), &flags)?.run()?.expect(0)?;
        let report: Value = serde_json::from_slice(&fs::read(file)?)?;
        check_eq!(report["denied"][0]["syscall"], "personality");
    }
    Ok(Passed)
}

fn needs_a_filter_and_the_foreground(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "a flag of coracle");
    let file = t.path("denied.json");
    let flags = ["--seccomp-record", &file.to_string_lossy()];
    t.run_with(&t.bundle()?, &flags)?.run()?.refused(&["/linux/seccomp"])?;
    let denying = on_getppid(t.bundle()?, "SCMP_ACT_ERRNO");
    let detached = [flags[0], flags[1], "--detach"];
    t.run_with(&denying, &detached)?.run()?.refused(&["--detach"])?;
    let nowhere = t.path("nowhere/file");
    let flags = ["--seccomp-record", &nowhere.to_string_lossy()];
    t.run_with(&denying, &flags)?.run()?.refused(&["nowhere/file"])?;
    let asking =
        on_getppid(t.bundle()?, "SCMP_ACT_NOTIFY").set("/linux/seccomp/listenerPath", "/agent");
    let flags = ["--seccomp-record", &file.to_string_lossy()];
    t.run_with(&asking, &flags)?.run()?.refused(&["SCMP_ACT_NOTIFY"])?;
    Ok(Passed)
}
