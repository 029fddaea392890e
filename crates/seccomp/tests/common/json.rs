//! Profiles in the form of containers/common and Docker.

use coracle_seccomp::{Action, Arch, Comparator, Profile, Rule};
use serde_json::Value;

/// The profile of Debian's package golang-github-containers-common, as podman applies it on x86_64 to
/// containers with these capabilities; none if the package is not installed.
pub fn default_profile(capabilities: &[&str]) -> Option<Profile> {
    let path = "/usr/share/containers/seccomp.json";
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no {path}; install golang-github-containers-common");
        return None;
    };
    let document: Value = serde_json::from_str(&text).unwrap();
    let errno = number(&document["defaultErrnoRet"]);
    let default = Action::from_oci(document["defaultAction"].as_str().unwrap(), errno).unwrap();
    let mut profile = Profile::new(default);
    profile.architectures = vec![Arch::X86_64, Arch::X86, Arch::X32];
    let rules = document["syscalls"].as_array().unwrap().iter();
    profile.rules = rules.filter(|rule| is_meant(rule, capabilities)).map(to_rule).collect();
    Some(profile)
}

fn is_meant(rule: &Value, capabilities: &[&str]) -> bool {
    let any = |list: &Value, wanted: &[&str]| {
        list.as_array()
            .is_some_and(|list| list.iter().any(|item| wanted.contains(&item.as_str().unwrap())))
    };
    let includes = &rule["includes"];
    let excludes = &rule["excludes"];
    (includes["caps"].is_null() || any(&includes["caps"], capabilities))
        && (includes["arches"].is_null() || any(&includes["arches"], &["amd64"]))
        && !any(&excludes["caps"], capabilities)
        && !any(&excludes["arches"], &["amd64"])
}

fn to_rule(rule: &Value) -> Rule {
    let names = rule["names"].as_array().unwrap();
    let names = names.iter().map(|name| name.as_str().unwrap());
    let action = Action::from_oci(rule["action"].as_str().unwrap(), number(&rule["errnoRet"]));
    let args = rule["args"].as_array().into_iter().flatten().map(|arg| Comparator {
        index: number(&arg["index"]).unwrap(),
        op: arg["op"].as_str().unwrap().parse().unwrap(),
        value: arg["value"].as_u64().unwrap(),
        value_two: arg["valueTwo"].as_u64().unwrap_or(0),
    });
    args.fold(Rule::new(names, action.unwrap()), Rule::when)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().map(|value| u32::try_from(value).unwrap())
}
