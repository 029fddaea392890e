//! What a seccomp profile says of a call, for people.

use std::collections::BTreeSet;
use std::path::Path;

use coracle_seccomp::{Arch, Profile, Reason, compile, explain};
use coracle_spec::types::Seccomp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::lower::seccomp;
use crate::{Error, Result};

/// Set in the number of every call of x32; asm/unistd.h.
const X32_BIT: u32 = 0x4000_0000;

/// A seccomp profile: that of a configuration, or a file in the form of Docker and podman.
#[derive(Debug)]
pub struct SeccompProfile {
    profile: Profile,
    /// Where in the document the profile is.
    pointer: &'static str,
    /// Where in the document its rules are.
    places: Vec<usize>,
    notes: Vec<String>,
}

/// What happens to a call by the convention of one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedCall {
    /// As `SCMP_ARCH_X86_64`.
    pub architecture: String,
    /// The name of the call, if it has one.
    pub syscall: Option<String>,
    /// Its number.
    pub number: u32,
    /// What happens: the first of these whose conditions hold.
    pub outcomes: Vec<ExplainedOutcome>,
}

/// What may happen to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedOutcome {
    /// As `SCMP_ACT_ERRNO`.
    pub action: String,
    /// What that means, in words.
    pub effect: String,
    /// What must hold of arguments that were not given; without any, this is what happens else.
    pub when: Vec<String>,
    /// Why, in words.
    pub reason: String,
    /// The rule or default that decides, as a JSON pointer into the document.
    pub pointer: Option<String>,
}

impl SeccompProfile {
    /// Reads the profile in `document`: at `/linux/seccomp` of a configuration, or the document itself.
    /// `path` is for messages.
    ///
    /// A document in the form of Docker and podman can have rules for some architectures, kernels and
    /// capabilities only. They are decided for this machine and a container with these `capabilities`.
    pub fn parse(document: &[u8], path: &Path, capabilities: &[&str]) -> Result<Self> {
        let document: Value = serde_json::from_slice(document)
            .map_err(|source| coracle_spec::Error::NotJson { path: path.to_owned(), source })?;
        let (pointer, given) = match document.pointer("/linux/seccomp") {
            Some(given) => ("/linux/seccomp", given),
            None if document.get("ociVersion").is_some() => {
                return Err(invalid("/linux/seccomp", "is not there: every call is allowed"));
            }
            None => ("", &document),
        };
        let mut notes = Vec::new();
        let surroundings = Surroundings::of_host(capabilities);
        let (rules, places) = surroundings.rules(given, &mut notes);
        let oci = json!({
            "defaultAction": given["defaultAction"],
            "defaultErrnoRet": given["defaultErrnoRet"],
            "architectures": architectures(given),
            "syscalls": rules,
        });
        let mut oci: Seccomp = serde_json::from_value(oci)
            .map_err(|error| invalid(pointer, format!("is no seccomp profile: {error}")))?;
        let profile = seccomp::profile(&mut oci, &mut notes)?;
        Ok(Self { profile, pointer, places, notes })
    }

    /// What was decided about the profile, and what of it has no effect here.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The size of the compiled filter, in instructions of eight bytes.
    pub fn instructions(&self) -> Result<usize> {
        let program = compile(&self.profile);
        Ok(program.map_err(|error| invalid(self.pointer, error.to_string()))?.len())
    }

    /// What happens to a call, by its name or number, for each architecture of the profile that has it.
    /// Arguments that are not known may leave several possibilities.
    pub fn explain(&self, call: &str, args: [Option<u64>; 6]) -> Result<Vec<ExplainedCall>> {
        let mut seen = BTreeSet::new();
        let archs = self.profile.architectures.iter().filter(|arch| seen.insert(arch.oci_name()));
        let number = |arch: Arch| match call.parse::<u32>() {
            Ok(number) if arch == Arch::X32 => Some(number | X32_BIT),
            Ok(number) => Some(number),
            Err(_) => arch.syscall(call),
        };
        let calls: Vec<_> = archs
            .filter_map(|arch| Some((*arch, number(*arch)?)))
            .map(|(arch, number)| self.explain_one(arch, number, args))
            .collect::<Result<_>>()?;
        if calls.is_empty() {
            let message =
                "is no system call of the profile's architectures that this version knows";
            return Err(invalid(call, message));
        }
        Ok(calls)
    }

    fn explain_one(
        &self,
        arch: Arch,
        number: u32,
        args: [Option<u64>; 6],
    ) -> Result<ExplainedCall> {
        let outcomes = explain(&self.profile, arch, number, args)
            .map_err(|error| invalid(self.pointer, error.to_string()))?;
        let outcomes = outcomes.iter().map(|outcome| {
            let (reason, pointer) = self.reason(outcome.reason);
            ExplainedOutcome {
                action: outcome.action.oci_name().to_owned(),
                effect: outcome.action.to_string(),
                when: outcome.when.iter().map(ToString::to_string).collect(),
                reason: reason.to_owned(),
                pointer,
            }
        });
        Ok(ExplainedCall {
            architecture: arch.to_string(),
            syscall: arch.syscall_name(number).map(str::to_owned),
            number,
            outcomes: outcomes.collect(),
        })
    }

    fn reason(&self, reason: Reason) -> (&'static str, Option<String>) {
        let base = self.pointer;
        match reason {
            Reason::Rule(rule) => {
                let place = self.places.get(rule).copied().unwrap_or(rule);
                ("a rule", Some(format!("{base}/syscalls/{place}")))
            }
            Reason::Default => ("no rule is about it", Some(format!("{base}/defaultAction"))),
            Reason::Newer => ("it is newer than every call that the profile names", None),
            _ => ("the profile does not list the architecture", None),
        }
    }
}

fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Spec { pointer: pointer.into(), message: message.into() }
}

/// The list of the profile, or what its `archMap` says for this machine.
fn architectures(profile: &Value) -> Value {
    if let Some(listed) = profile.get("architectures").filter(|listed| !listed.is_null()) {
        return listed.clone();
    }
    let native = Arch::native().map(Arch::oci_name);
    let mut maps = profile["archMap"].as_array().into_iter().flatten();
    let ours = maps.find(|map| map["architecture"].as_str() == native);
    let others = ours.and_then(|map| map["subArchitectures"].as_array());
    json!(others.into_iter().flatten().collect::<Vec<_>>())
}

/// What decides whether a rule counts.
struct Surroundings<'a> {
    arch: &'static str,
    kernel: (u32, u32),
    capabilities: &'a [&'a str],
}

impl<'a> Surroundings<'a> {
    fn of_host(capabilities: &'a [&'a str]) -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            other => other,
        };
        let release = rustix::system::uname();
        let kernel = version(&release.release().to_string_lossy());
        Self { arch, kernel, capabilities }
    }

    /// The rules that count, in the form of the runtime specification, and where they are.
    fn rules(&self, profile: &Value, notes: &mut Vec<String>) -> (Vec<Value>, Vec<usize>) {
        let all = profile["syscalls"].as_array().map(Vec::as_slice).unwrap_or_default();
        let counting = all.iter().enumerate().filter(|(_, rule)| self.counts(rule));
        let (places, rules): (Vec<_>, Vec<_>) =
            counting.map(|(place, rule)| (place, in_oci_form(rule))).unzip();
        let is_conditional = |rule: &Value| {
            let has = |key| rule[key].as_object().is_some_and(|when| !when.is_empty());
            has("includes") || has("excludes")
        };
        if all.iter().any(is_conditional) {
            let held = match self.capabilities {
                [] => "no capabilities".to_owned(),
                held => held.join(", "),
            };
            notes.push(format!(
                "{} of {} rules count for {}, Linux {}.{} and {held}",
                places.len(),
                all.len(),
                self.arch,
                self.kernel.0,
                self.kernel.1
            ));
        }
        (rules, places)
    }

    /// As in the engines: `includes` must all be met and none of `excludes`.
    fn counts(&self, rule: &Value) -> bool {
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            list.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        let holds = |name: &String| self.capabilities.contains(&name.as_str());
        let is_new = |when: &Value| when["minKernel"].as_str().map(|v| self.kernel >= version(v));
        let arches = texts(&includes["arches"]);
        (arches.is_empty() || arches.iter().any(|arch| arch == self.arch))
            && texts(&includes["caps"]).iter().all(holds)
            && is_new(includes).unwrap_or(true)
            && !texts(&excludes["arches"]).iter().any(|arch| arch == self.arch)
            && !texts(&excludes["caps"]).iter().any(holds)
            && !is_new(excludes).unwrap_or(false)
    }
}

/// What engines hand to runtimes of a rule.
fn in_oci_form(rule: &Value) -> Value {
    let names = match &rule["name"] {
        Value::String(name) => json!([name]),
        _ => rule["names"].clone(),
    };
    let mut oci = json!({"names": names, "action": rule["action"]});
    let returns = matches!(rule["action"].as_str(), Some("SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE"));
    if !rule["errnoRet"].is_null() && returns {
        oci["errnoRet"] = rule["errnoRet"].clone();
    }
    if !rule["args"].is_null() {
        oci["args"] = rule["args"].clone();
    }
    oci
}

/// The first two numbers of a version, as of `6.1.0-rc1`.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    let mut next = || numbers.next().flatten().unwrap_or_default();
    (next(), next())
}
