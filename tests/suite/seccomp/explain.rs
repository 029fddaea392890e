//! `coracle seccomp explain`: that it says what happens.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, Result, Test, Verdict, check, check_eq, need, tests};
use serde_json::{Value, json};

use super::filter;
use super::probe::{Call, attempt, supported};
use super::profiles::{PROFILE, usual_profile};

pub const TESTS: &[Test] = tests![
    says_what_happens,
    says_which_rule_it_is,
    resolves_the_profiles_of_engines,
    refuses_what_it_cannot_explain,
];

/// What is said of a call by the native convention.
fn explain(t: &Context, flags: &[&str], path: &str, call: &[&str]) -> Result<Value> {
    let command = t.runtime().command().args(["seccomp", "--format", "json"]).args(flags);
    let document = command.args(["explain", path]).args(call).succeed()?.json()?;
    Ok(document["calls"][0]["outcomes"].clone())
}

fn written(bundle: &Bundle) -> Result<String> {
    bundle.write()?;
    Ok(bundle.directory().join("config.json").to_string_lossy().into_owned())
}

/// For calls that change nothing, whoever may make them.
fn says_what_happens(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle() && supported(), "a command of coracle, and probes for x86-64");
    let Some(profile) = usual_profile()? else {
        return Ok(Verdict::Skipped(format!("no {PROFILE}")));
    };
    let calls = [
        ("personality", 135, [0, 0]),
        ("personality", 135, [1, 0]),
        ("socket", 41, [1, 1]),
        ("socket", 41, [40, 1]),
        ("getppid", 110, [0, 0]),
        ("bpf", 321, [0, 0]),
        ("swapoff", 168, [0, 0]),
        ("600", 600, [0, 0]),
        ("uselib", 134, [0, 0]),
    ];
    for (name, number, [first, second]) in calls {
        let bundle = t.bundle()?.set("/linux/seccomp", profile.clone());
        let path = written(&bundle)?;
        let [one, two] = [first, second].map(|arg| arg.to_string());
        let outcomes = explain(t, &[], &path, &[name, &one, &two, "0", "0", "0", "0"])?;
        check_eq!((name, outcomes.as_array().map(Vec::len)), (name, Some(1)));
        let effect = outcomes[0]["effect"].as_str().unwrap_or_default().to_owned();
        let code = attempt(t, bundle, Call::Native(number, first, second))?.code();
        let agrees = match code {
            1 => effect.contains("EPERM") || effect.contains("is allowed"),
            38 => effect.contains("ENOSYS"),
            _ => effect == "is allowed",
        };
        check!(agrees, "{name}({first}, {second}): {code}, but it {effect}");
    }
    Ok(Passed)
}

fn says_which_rule_it_is(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "a command of coracle");
    let rules = json!([
        {"names": ["read", "personality"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["clone", "nosuch"], "action": "SCMP_ACT_KILL_PROCESS", "args":
            [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 0x2_0000, "valueTwo": 0x2_0000}]},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 2},
    ]);
    let path = written(&filter(t.bundle()?, "SCMP_ACT_LOG", rules))?;
    for (call, expected) in [
        (&["read"][..], &["/linux/seccomp/syscalls/0"][..]),
        (&["write"], &["/linux/seccomp/defaultAction"]),
        (&["clone"], &["/linux/seccomp/syscalls/2"]),
    ] {
        let outcomes = explain(t, &[], &path, call)?;
        let pointers: Vec<_> = outcomes.as_array().into_iter().flatten().collect();
        let pointers: Vec<_> = pointers.iter().filter_map(|it| it["pointer"].as_str()).collect();
        check_eq!((call, pointers.as_slice()), (call, expected));
    }
    let said = t.runtime().command().args(["seccomp", "explain", &path, "write"]).succeed()?;
    check!(said.stdout.contains("is allowed, and logged"), "{said}");
    Ok(Passed)
}

fn resolves_the_profiles_of_engines(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "a command of coracle");
    let path = t.path("profile.json");
    let document = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
            {"name": "sync", "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_BPF"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["acct"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.1"}},
            {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
            {"names": ["reboot"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}}
        ]
    });
    std::fs::write(&path, document.to_string())?;
    let path = path.to_string_lossy();
    let allowed = |flags: &[&str], call: &str| -> Result<bool> {
        Ok(explain(t, flags, &path, &[call])?[0]["action"] == "SCMP_ACT_ALLOW")
    };
    for (call, without, with) in [
        ("bpf", false, true),
        ("sync", true, false),
        ("ptrace", true, true),
        ("acct", false, false),
        ("chroot", false, false),
        ("reboot", true, true),
    ] {
        let found = (allowed(&[], call)?, allowed(&["--cap", "CAP_BPF"], call)?);
        check_eq!((call, found), (call, (without, with)));
    }
    let pointer = explain(t, &[], &path, &["reboot"])?[0]["pointer"].clone();
    check_eq!(pointer, "/syscalls/5");
    Ok(Passed)
}

fn refuses_what_it_cannot_explain(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "a command of coracle");
    let plain = written(&t.bundle()?)?;
    let profile = written(&filter(t.bundle()?, "SCMP_ACT_ALLOW", json!([])))?;
    let explain = |args: &[&str]| t.runtime().command().arg("seccomp").args(args).run();
    explain(&["explain", &plain, "read"])?.refused(&["/linux/seccomp", "not there"])?;
    explain(&["explain", &profile, "nosuch"])?.refused(&["nosuch"])?;
    explain(&["explain", &profile, "read", "much"])?.refused(&["much"])?;
    explain(&["explain", "/nothing/here", "read"])?.refused(&["/nothing/here"])?;
    explain(&["show", &profile, "read"])?.refused(&["show", "explain"])?;
    Ok(Passed)
}
