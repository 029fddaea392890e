//! Whole profiles, good and bad.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, Result, Test, Verdict, check, check_eq, check_has, need, tests,
};
use serde_json::{Value, json};

use super::probe::{Call, attempt, supported};
use super::{filter, on_getppid};

pub const TESTS: &[Test] = tests![
    runs_under_the_usual_profile,
    keeps_from_the_kernel_what_the_usual_profile_keeps,
    takes_a_list_of_every_hosts_architectures,
    knows_the_flags,
    refuses_what_it_does_not_know,
    loads_one_filter,
];

pub const PROFILE: &str = "/usr/share/containers/seccomp.json";

/// The profile of podman and its like in the form of a runtime specification, for a container of this host
/// with the capabilities of the default configuration.
pub fn usual_profile() -> Result<Option<Value>> {
    let Ok(text) = fs::read_to_string(PROFILE) else { return Ok(None) };
    let held = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    Ok(Some(resolved(&serde_json::from_str(&text)?, &held)))
}

/// A profile in the form of engines, as they hand it to runtimes for containers with these capabilities.
pub fn resolved(profile: &Value, held: &[&str]) -> Value {
    let names = |list: &Value| -> Vec<String> {
        let texts = list.as_array().into_iter().flatten();
        texts.filter_map(|it| it.as_str().map(str::to_owned)).collect()
    };
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let is_ours = |list: &Value| names(list).iter().any(|it| it == arch);
    let holds = |name: &String| held.contains(&name.as_str());
    let applies = |rule: &&Value| {
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        (names(&includes["arches"]).is_empty() || is_ours(&includes["arches"]))
            && names(&includes["caps"]).iter().all(holds)
            && !is_ours(&excludes["arches"])
            && !names(&excludes["caps"]).iter().any(holds)
    };
    let rule = |rule: &Value| {
        let mut oci = json!({"names": rule["names"], "action": rule["action"]});
        for field in ["errnoRet", "args"] {
            if !rule[field].is_null() {
                oci[field] = rule[field].clone();
            }
        }
        oci
    };
    let rules = profile["syscalls"].as_array().into_iter().flatten();
    let rules: Vec<Value> = rules.filter(applies).map(rule).collect();
    let all = profile["archMap"].as_array().into_iter().flatten();
    let all = all.flat_map(|map| {
        let others = map["subArchitectures"].as_array().cloned().unwrap_or_default();
        [vec![map["architecture"].clone()], others].concat()
    });
    let x86 = all.filter(|arch| arch.as_str().is_some_and(|name| name.contains("_X")));
    json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": x86.collect::<Vec<_>>(),
        "syscalls": rules,
    })
}

fn runs_under_the_usual_profile(t: &mut Context) -> Result<Verdict> {
    let Some(profile) = usual_profile()? else {
        return Ok(Verdict::Skipped(format!("no {PROFILE}")));
    };
    for flag in [true, false] {
        let bundle = t.bundle()?.writable().set("/linux/seccomp", profile.clone());
        let bundle = bundle.set("/process/noNewPrivileges", flag);
        let script = "id -u; ls / > /file; sed -n 1p /etc/passwd; mkdir /d; chown 5:5 /d; chmod 700 /d
            ps > /dev/null; find / -maxdepth 1 -name d; (sleep 0.01 & wait); grep Seccomp: /proc/self/status";
        let output = t.run(&bundle.script(script))?;
        let lines = output.lines();
        check_eq!(lines[..2], ["0", "root:x:0:0:root:/root:/bin/sh"]);
        check_eq!(lines[2..], ["/d", "Seccomp:\t2"]);
        let user = t.bundle()?.set("/linux/seccomp", profile.clone());
        let user = user.set("/process/user/uid", 1000).set("/process/noNewPrivileges", flag);
        check_eq!(t.run(&user.args(&["id", "-u"]))?.expect(0)?.text(), "1000");
    }
    Ok(Passed)
}

/// The profile is the one for containers without these capabilities; nothing here could harm the host.
fn keeps_from_the_kernel_what_the_usual_profile_keeps(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    let Some(profile) = usual_profile()? else {
        return Ok(Verdict::Skipped(format!("no {PROFILE}")));
    };
    let denied = [("bpf", 321), ("init_module", 175), ("clock_settime", 227), ("swapoff", 168)];
    for (name, number) in denied {
        let bundle = t.bundle()?.set("/linux/seccomp", profile.clone());
        let bundle = bundle.capabilities(&["CAP_SYS_ADMIN"]);
        let code = attempt(t, bundle, Call::Native(number, 0, 0))?.code();
        check_eq!((name, code), (name, 1));
    }
    // Nobody knew this one then.
    let bundle = t.bundle()?.set("/linux/seccomp", profile);
    attempt(t, bundle, Call::Native(600, 0, 0))?.expect(38)?;
    Ok(Passed)
}

fn takes_a_list_of_every_hosts_architectures(t: &mut Context) -> Result<Verdict> {
    let architectures = ["X86_64", "X86", "X32", "AARCH64", "ARM", "RISCV64", "S390X", "PPC64LE"];
    let names = architectures.map(|name| format!("SCMP_ARCH_{name}"));
    let bundle = on_getppid(t.bundle()?, "SCMP_ACT_ERRNO");
    let bundle = bundle.set("/linux/seccomp/architectures", json!(names)).args(&["echo", "fine"]);
    check_eq!(t.run(&bundle)?.expect(0)?.text(), "fine");
    Ok(Passed)
}

fn knows_the_flags(t: &mut Context) -> Result<Verdict> {
    let with = |flags: Value| -> Result<Bundle> {
        Ok(on_getppid(t.bundle()?, "SCMP_ACT_ERRNO").set("/linux/seccomp/flags", flags))
    };
    for flags in [
        json!([]),
        json!(["SECCOMP_FILTER_FLAG_LOG"]),
        json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]),
    ] {
        t.run(&with(flags)?)?.expect(0)?;
    }
    t.run(&with(json!(["SECCOMP_FILTER_FLAG_NOSUCH"]))?)?
        .refused(&["/linux/seccomp/flags", "NOSUCH"])?;
    Ok(Passed)
}

fn refuses_what_it_does_not_know(t: &mut Context) -> Result<Verdict> {
    let with = |bundle: Bundle, words: &[&str]| t.run(&bundle)?.refused(words);
    with(on_getppid(t.bundle()?, "SCMP_ACT_NOSUCH"), &["/linux/seccomp", "SCMP_ACT_NOSUCH"])?;
    let bundle = filter(t.bundle()?, "SCMP_ACT_NOSUCH", json!([]));
    with(bundle, &["/linux/seccomp/defaultAction", "SCMP_ACT_NOSUCH"])?;
    let args = json!([{"index": 6, "op": "SCMP_CMP_EQ", "value": 0}]);
    let rules = json!([{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": args}]);
    with(filter(t.bundle()?, "SCMP_ACT_ALLOW", rules), &["/linux/seccomp"])?;
    let args = json!([{"index": 0, "op": "SCMP_CMP_NOSUCH", "value": 0}]);
    let rules = json!([{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": args}]);
    with(filter(t.bundle()?, "SCMP_ACT_ALLOW", rules), &["/linux/seccomp", "SCMP_CMP_NOSUCH"])?;
    Ok(Passed)
}

fn loads_one_filter(t: &mut Context) -> Result<Verdict> {
    let bundle = on_getppid(t.bundle()?, "SCMP_ACT_ERRNO").args(&["cat", "/proc/self/status"]);
    let output = t.run(&bundle)?.expect(0)?;
    let ours = fs::read_to_string("/proc/self/status")?;
    let count = |text: &str| -> Option<u32> {
        text.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"))?.trim().parse().ok()
    };
    let (Some(before), Some(after)) = (count(&ours), count(&output.stdout)) else {
        return Ok(Verdict::Skipped("the kernel does not count filters".into()));
    };
    check_eq!(after, before + 1);
    check_has!(output.stdout, "Seccomp:\t2");
    check!(!output.stdout.contains("Seccomp:\t1"));
    Ok(Passed)
}
