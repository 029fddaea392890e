//! Every rule of the profiles that engines ship, by calling what it is about.
//!
//! What a profile allows cannot be made at will: some of it would harm the prober, and what the kernel says then
//! could be taken for the filter's word. So each profile is tried by a twin in which what is allowed fails with
//! an errno that nobody else uses: whatever is called then, the filter alone answers. After that the calls that
//! the profile denies are made under the profile itself. What should happen is computed here from the document.

use std::fs;

use coracle_seccomp::Arch;
use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check, need, tests};
use serde_json::{Value, json};

use super::probe::supported;
use super::prober::{MAGIC, Made, errnos};
use super::profiles::{PROFILE, resolved};

pub const TESTS: &[Test] =
    tests![judges_by_every_rule_of_podmans_profile, judges_by_every_rule_of_dockers_profile];

/// Of Debian's package golang-github-docker-docker-dev, version 20.10.24: what its docker.io has built in.
const DOCKER: &str = include_str!("docker.json");

/// What a call fails with that the profile allows.
const ALLOWED: u16 = 4001;
/// Without these the prober cannot work; it marks its own calls of the latter two.
const NEEDED: [&str; 3] = ["execve", "write", "exit_group"];
/// uretprobe and uprobe: no filter sees these, which only the kernel's own code may make.
const PROBES: [u32; 2] = [335, 336];
const X32_BIT: u32 = 0x4000_0000;

fn judges_by_every_rule_of_podmans_profile(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    match fs::read_to_string(PROFILE) {
        Ok(text) => judges_by_every_rule(t, &serde_json::from_str(&text)?),
        Err(_) => Ok(Verdict::Skipped(format!("no {PROFILE}"))),
    }
}

fn judges_by_every_rule_of_dockers_profile(t: &mut Context) -> Result<Verdict> {
    need!(supported(), "the probes are for x86-64");
    judges_by_every_rule(t, &serde_json::from_str(DOCKER)?)
}

/// For containers without capabilities and with all of them: each rule counts for one or the other.
fn judges_by_every_rule(t: &Context, document: &Value) -> Result<Verdict> {
    let rules = document["syscalls"].as_array().into_iter().flatten();
    let conditions = rules.flat_map(|rule| [&rule["includes"]["caps"], &rule["excludes"]["caps"]]);
    let all: Vec<&str> = conditions.flat_map(texts).collect();
    for held in [&[][..], &all] {
        let profile = resolved(document, held);
        let calls = calls(&profile);
        let made: Vec<Made> = calls.iter().map(|(_, made)| *made).collect();
        let bundle = || -> Result<_> { Ok(t.bundle()?.set("/process/noNewPrivileges", true)) };
        let twin = bundle()?.set("/linux/seccomp", twin(&profile));
        let mut denied = Vec::new();
        for ((arch, made), errno) in calls.iter().zip(errnos(t, twin, &made)?) {
            let expected = expected(&profile, *arch, made);
            check!(errno == expected, "{arch} {made:?}: {errno}, not {expected}");
            if errno != ALLOWED {
                denied.push((*made, errno));
            }
        }
        check!(denied.len() > 300 && calls.len() - denied.len() > 900, "{} denied", denied.len());
        let made: Vec<Made> = denied.iter().map(|(made, _)| *made).collect();
        let found = errnos(t, bundle()?.set("/linux/seccomp", profile), &made)?;
        for ((made, expected), errno) in denied.iter().zip(found) {
            check!(
                errno == *expected,
                "{made:?} under the profile itself: {errno}, not {expected}"
            );
        }
    }
    Ok(Passed)
}

/// All numbers of all three conventions, and those whose arguments are compared with arguments around the values.
fn calls(profile: &Value) -> Vec<(Arch, Made)> {
    let mut calls = Vec::new();
    for (arch, last) in [(Arch::X86_64, 480), (Arch::X86, 480), (Arch::X32, 560)] {
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        for number in base..=base + last {
            let name = arch.syscall_name(number).unwrap_or_default();
            let is_probe = arch == Arch::X86_64 && PROBES.contains(&number);
            if NEEDED.contains(&name) || is_probe {
                continue;
            }
            let call = |args| (arch, Made { by_x86: arch == Arch::X86, number, args });
            calls.push(call([0; 6]));
            for arg in rules_about(profile, name).flat_map(|rule| items(&rule["args"])) {
                let index = usize::try_from(number_of(&arg["index"])).unwrap_or_default();
                let (one, two) = (number_of(&arg["value"]), number_of(&arg["valueTwo"]));
                for value in [one, one + 1, one ^ 8, one | 1 << 40, two, 0, u64::MAX] {
                    let mut args = [0; 6];
                    args[index] = value;
                    calls.push(call(args));
                }
            }
        }
    }
    calls
}

/// What is allowed fails with [`ALLOWED`], but for what the prober needs.
fn twin(profile: &Value) -> Value {
    let mut twin = profile.clone();
    let fail = json!("SCMP_ACT_ERRNO");
    for rule in twin["syscalls"].as_array_mut().into_iter().flatten() {
        if rule["action"] == "SCMP_ACT_ALLOW" {
            rule["action"] = fail.clone();
            rule["errnoRet"] = json!(ALLOWED);
        }
        if let Some(names) = rule["names"].as_array_mut() {
            names.retain(|name| !NEEDED.iter().any(|needed| name == needed));
        }
    }
    if let Some(rules) = twin["syscalls"].as_array_mut() {
        rules.retain(|rule| !items(&rule["names"]).is_empty());
        let marked = json!([{"index": 5, "value": MAGIC, "op": "SCMP_CMP_EQ"}]);
        rules.push(json!({"names": ["execve"], "action": "SCMP_ACT_ALLOW"}));
        let names = ["write", "exit_group"];
        rules.push(json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": marked}));
    }
    twin
}

/// What a call fails with, by the words of the runtime specification.
fn expected(profile: &Value, arch: Arch, made: &Made) -> u16 {
    let name = arch.syscall_name(made.number).unwrap_or_default();
    let always = rules_about(profile, name).find(|rule| items(&rule["args"]).is_empty());
    let holds = |arg: &Value| holds(arg, arch == Arch::X86_64, made.args);
    let matching =
        || rules_about(profile, name).find(|rule| items(&rule["args"]).iter().all(holds));
    let errno = |given: &Value| given.as_u64().map_or(1, |errno| errno.try_into().unwrap_or(0));
    match always.or_else(matching) {
        Some(rule) if rule["action"] == "SCMP_ACT_ALLOW" => ALLOWED,
        Some(rule) => errno(&rule["errnoRet"]),
        // As runc: ENOSYS for what is newer than all that the profile knows.
        None if Some(made.number) > newest(profile, arch) => 38,
        None => errno(&profile["defaultErrnoRet"]),
    }
}

fn newest(profile: &Value, arch: Arch) -> Option<u32> {
    let names = items(&profile["syscalls"]).iter().flat_map(|rule| texts(&rule["names"]));
    names.filter_map(|name| arch.syscall(name)).max()
}

fn holds(arg: &Value, wide: bool, args: [u64; 6]) -> bool {
    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let index = usize::try_from(number_of(&arg["index"])).unwrap_or_default();
    let (found, value) = (cut(args[index]), cut(number_of(&arg["value"])));
    match arg["op"].as_str() {
        Some("SCMP_CMP_EQ") => found == value,
        Some("SCMP_CMP_NE") => found != value,
        Some("SCMP_CMP_MASKED_EQ") => found & value == cut(number_of(&arg["valueTwo"])) & value,
        _ => unreachable!("no profile compares otherwise: {arg}"),
    }
}

fn rules_about<'a>(profile: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let name = name.to_owned();
    let rules = items(&profile["syscalls"]).iter();
    rules.filter(move |rule| items(&rule["names"]).iter().any(|it| *it == name))
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    items(list).iter().filter_map(Value::as_str)
}

fn number_of(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}
