//! `features`: that it is in form, and true.

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Bundle, Context, DescriptorServer, Output, Result, Test, Verdict, check, check_eq, need, tests,
};
use serde_json::{Value, json};

use super::schema;

pub const TESTS: &[Test] = tests![
    is_valid_by_the_schema,
    needs_no_rights,
    names_what_the_kernel_has,
    accepts_the_versions_it_names,
    lists_the_hooks_that_are_run,
    lists_namespaces_and_capabilities,
    lists_what_seccomp_profiles_can_say,
    says_what_is_supported,
];

fn features(t: &Context) -> Result<Value> {
    t.runtime().command().arg("features").succeed()?.json()
}

fn list(features: &Value, pointer: &str) -> Vec<String> {
    let items = features.pointer(pointer).and_then(Value::as_array);
    let texts = items.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Is what this bundle asks for supported at all? That it works here is another matter.
fn is_supported(t: &Context, bundle: &Bundle) -> Result<bool> {
    let output = t.run(bundle)?;
    Ok(!output.stderr.contains("not supported yet"))
}

fn is_valid_by_the_schema(t: &mut Context) -> Result<Verdict> {
    let mut unknown = schema::check_features(&features(t)?)?;
    // Of version 1.3, but not in its schema.
    let later = ["/linux/memoryPolicy", "/linux/intelRdt/schemata", "/linux/intelRdt/monitoring"];
    unknown.retain(|key| !later.contains(&key.as_str()));
    check_eq!(unknown, [""; 0]);
    for wrong in [
        json!({}),
        json!({"ociVersionMin": "1.0.0"}),
        json!({"ociVersionMin": "1.0.0", "ociVersionMax": 1}),
        json!({"ociVersionMin": "1", "ociVersionMax": "1", "linux": {"capabilities": ["chown"]}}),
        json!({"ociVersionMin": "1", "ociVersionMax": "1", "linux": {"namespaces": ["net"]}}),
    ] {
        check!(schema::check_features(&wrong).is_err(), "{wrong}");
    }
    Ok(Passed)
}

fn needs_no_rights(t: &mut Context) -> Result<Verdict> {
    let command = t.runtime().command().arg("features").without_env("XDG_RUNTIME_DIR");
    check_eq!(t.as_user(command).succeed()?.json()?, features(t)?);
    Ok(Passed)
}

fn names_what_the_kernel_has(t: &mut Context) -> Result<Verdict> {
    let features = features(t)?;
    let last: usize = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse()?;
    let capabilities = list(&features, "/linux/capabilities");
    check!(capabilities.len() > last, "{} of {} capabilities", capabilities.len(), last + 1);
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail")?;
    for action in list(&features, "/linux/seccomp/actions") {
        let name = action.trim_start_matches("SCMP_ACT_").to_lowercase();
        let name = match name.as_str() {
            "kill" => "kill_thread",
            "notify" => "user_notif",
            other => other,
        };
        check!(actions.split_whitespace().any(|other| other == name), "{action}: {actions}");
    }
    for kind in list(&features, "/linux/namespaces") {
        let file = match kind.as_str() {
            "mount" => "mnt",
            "network" => "net",
            other => other,
        };
        check!(fs::exists(format!("/proc/self/ns/{file}"))?, "{kind}");
    }
    Ok(Passed)
}

fn accepts_the_versions_it_names(t: &mut Context) -> Result<Verdict> {
    let features = features(t)?;
    for end in ["ociVersionMin", "ociVersionMax"] {
        t.run(&t.bundle()?.set("/ociVersion", features[end].clone()))?.expect(0)?;
    }
    Ok(Passed)
}

fn lists_the_hooks_that_are_run(t: &mut Context) -> Result<Verdict> {
    let features = features(t)?;
    let listed = list(&features, "/hooks");
    for name in
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
    {
        let hook = json!([{"path": "/bin/true"}]);
        let bundle = t.bundle()?.set(&format!("/hooks/{name}"), hook);
        check_eq!((name, is_supported(t, &bundle)?), (name, listed.iter().any(|it| it == name)));
    }
    Ok(Passed)
}

fn lists_namespaces_and_capabilities(t: &mut Context) -> Result<Verdict> {
    let features = features(t)?;
    let kinds = list(&features, "/linux/namespaces");
    check_eq!(kinds.len(), 8);
    let bundle = kinds.iter().fold(t.bundle()?, |bundle, kind| bundle.namespace(kind, None));
    let mapping = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    let bundle = bundle.set("/linux/uidMappings", mapping.clone());
    t.run(&bundle.set("/linux/gidMappings", mapping))?.expect(0)?;
    let names = list(&features, "/linux/capabilities");
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let output = t.run(&t.bundle()?.capabilities(&names))?.expect(0)?;
    check!(!output.stderr.contains("unknown"), "{output}");
    Ok(Passed)
}

fn with_seccomp(t: &Context, profile: Value) -> Result<Output> {
    t.run(&t.bundle()?.set("/linux/seccomp", profile))
}

fn lists_what_seccomp_profiles_can_say(t: &mut Context) -> Result<Verdict> {
    let features = features(t)?;
    let get = |name: &str| list(&features, &format!("/linux/seccomp/{name}"));
    let rule = |action: &str, args: Value| {
        let rule = json!({"names": ["swapoff"], "action": action, "args": args});
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    };
    let agent = t.path("agent");
    let _server = DescriptorServer::listen(&agent)?;
    check_eq!(get("actions").len(), 9);
    for action in get("actions") {
        let mut profile = rule(&action, json!([]));
        if action == "SCMP_ACT_NOTIFY" {
            profile["listenerPath"] = json!(agent.to_string_lossy());
        }
        with_seccomp(t, profile)?.expect(0)?;
    }
    for operator in get("operators") {
        let args = json!([{"index": 0, "value": 1, "valueTwo": 1, "op": operator}]);
        with_seccomp(t, rule("SCMP_ACT_ERRNO", args))?.expect(0)?;
    }
    let mut profile = rule("SCMP_ACT_ERRNO", json!([]));
    profile["architectures"] = json!(get("archs"));
    let output = with_seccomp(t, profile.clone())?.expect(0)?;
    check!(!output.stderr.contains("SCMP_ARCH"), "{output}");
    let supported = get("supportedFlags");
    for flag in get("knownFlags") {
        profile["flags"] = json!([flag]);
        let works = with_seccomp(t, profile.clone())?.code() == 0;
        check_eq!((&flag, works), (&flag, supported.contains(&flag)));
    }
    Ok(Passed)
}

fn says_what_is_supported(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the text of the refusal is coracle's");
    let features = features(t)?;
    let linux = |pointer: &str| features.pointer(&format!("/linux/{pointer}"));
    let is_true = |pointer: &str| linux(pointer) == Some(&json!(true));
    let mapping = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    for (pointer, value, said) in [
        ("/process/apparmorProfile", json!("unconfined"), is_true("apparmor/enabled")),
        ("/linux/mountLabel", json!("a:b:c:s0"), is_true("selinux/enabled")),
        ("/linux/intelRdt/closID", json!("x"), is_true("intelRdt/enabled")),
        ("/linux/intelRdt/schemata", json!(["L3:0=f"]), is_true("intelRdt/schemata")),
        ("/linux/intelRdt/enableMonitoring", json!(true), is_true("intelRdt/monitoring")),
        ("/linux/netDevices/nosuch0", json!({}), is_true("netDevices/enabled")),
        ("/linux/memoryPolicy/mode", json!("MPOL_DEFAULT"), linux("memoryPolicy").is_some()),
        ("/linux/resources/rdma/x/hcaHandles", json!(1), is_true("cgroup/rdma")),
        ("/mounts/0/uidMappings", mapping, is_true("mountExtensions/idmap/enabled")),
    ] {
        let bundle = t.bundle()?.set(pointer, value);
        check_eq!((pointer, is_supported(t, &bundle)?), (pointer, said));
    }
    let bundle = t.bundle()?;
    bundle.write()?;
    let command = t.command().args(["--systemd-cgroup", "run", "--bundle"]);
    let output = command.arg(bundle.directory()).arg(t.id()).run()?;
    check_eq!(!output.stderr.contains("not supported yet"), is_true("cgroup/systemd"));
    check!(is_true("cgroup/v1") && is_true("cgroup/v2") && is_true("seccomp/enabled"));
    let unsafe_ones = list(&features, "/potentiallyUnsafeConfigAnnotations");
    check_eq!(unsafe_ones, ["org.systemd.property."]);
    Ok(Passed)
}
