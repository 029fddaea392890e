//! `features`: that it is in form, and true.

use std::fs;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{
    Cmd, Context, DescriptorServer, Output, Result, Test, Verdict, check, check_eq, need, tests,
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
    let listed = list(&features(t)?, "/hooks");
    check_eq!(listed.len(), 6);
    for name in &listed {
        let script = "echo it ran, and failed; exit 1";
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
        let output = t.run(&t.bundle()?.set(&format!("/hooks/{name}"), hook))?;
        output.says(&[name])?;
        if t.is_coracle() {
            output.says(&["it ran, and failed"])?;
        }
    }
    need!(t.is_coracle(), "others say nothing of hooks that nobody knows");
    let bundle = t.bundle()?.set("/hooks/preCreate", json!([{"path": "/bin/false"}]));
    t.run(&bundle)?.expect(0)?.says(&["warning", "/hooks/preCreate"])?;
    Ok(Passed)
}

fn lists_namespaces_and_capabilities(t: &mut Context) -> Result<Verdict> {
    let features = features(t)?;
    let kinds = list(&features, "/linux/namespaces");
    check_eq!(kinds.len(), 8);
    let bundle = kinds.iter().fold(t.bundle()?, |bundle, kind| bundle.namespace(kind, None));
    let mapping = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    let bundle = bundle.set("/linux/uidMappings", mapping.clone());
    let bundle = bundle.set("/linux/gidMappings", mapping);
    let script = "cd /proc/self/ns && for name in *; do readlink $name; done";
    let inside = t.run(&bundle.script(script))?.expect(0)?;
    let outside = Cmd::new("sh").args(["-c", script]).succeed()?;
    let outside = outside.lines();
    check!(inside.lines().len() >= kinds.len(), "{inside}");
    let shared: Vec<_> = inside.lines().into_iter().filter(|it| outside.contains(it)).collect();
    check!(shared.is_empty(), "{shared:?} are the host's");
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

/// Does what is said to be supported work, or else fail for what this host lacks, in these words?
fn says_what_is_supported(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "the text of the refusal is coracle's");
    let features = features(t)?;
    let listed = |pointer: &str| features.pointer(&format!("/linux/{pointer}"));
    let host = t.host();
    let rdt = Path::new("/sys/fs/resctrl/schemata").exists();
    for (pointer, value, feature, lacks) in [
        (
            "/process/apparmorProfile",
            json!("unconfined"),
            "apparmor/enabled",
            (!host.apparmor).then_some("AppArmor is not enabled on this host"),
        ),
        (
            "/process/selinuxLabel",
            json!("system_u:system_r:container_t:s0"),
            "selinux/enabled",
            (!host.selinux).then_some("SELinux is not enabled on this host"),
        ),
        (
            "/linux/mountLabel",
            json!("system_u:object_r:tmp_t:s0"),
            "selinux/enabled",
            (!host.selinux).then_some("/linux/mountLabel"),
        ),
        ("/linux/intelRdt/closID", json!("x"), "intelRdt/enabled", (!rdt).then_some("resctrl")),
        ("/linux/intelRdt/schemata", json!([]), "intelRdt/schemata", (!rdt).then_some("resctrl")),
        (
            "/linux/intelRdt/enableMonitoring",
            json!(true),
            "intelRdt/monitoring",
            (!rdt).then_some("resctrl"),
        ),
        (
            "/linux/netDevices/nosuch0",
            json!({}),
            "netDevices/enabled",
            Some("the host has no such network device"),
        ),
        ("/linux/resources/rdma/x/hcaHandles", json!(1), "cgroup/rdma", Some("rdma.max")),
    ] {
        check_eq!((feature, listed(feature)), (feature, Some(&json!(true))));
        let output = t.run(&t.bundle()?.set(pointer, value))?;
        match lacks {
            None => output.expect(0)?,
            Some(words) => output.refused(&[words])?,
        };
    }
    for version in ["v1", "v2", "systemd", "systemdUser"] {
        check_eq!((version, listed(&format!("cgroup/{version}"))), (version, Some(&json!(true))));
    }
    let bundle = t.bundle()?;
    bundle.write()?;
    let command = t.command().args(["--systemd-cgroup", "run", "--bundle"]);
    let output = command.arg(bundle.directory()).arg(t.id()).run()?;
    if output.code() != 0 {
        output.says(&["systemd does not run on this host"])?;
    }
    let unsafe_ones = list(&features, "/potentiallyUnsafeConfigAnnotations");
    check_eq!(unsafe_ones, ["org.systemd.property."]);
    Ok(Passed)
}
