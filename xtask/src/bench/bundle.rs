//! The bundle that is run: a busybox, and a configuration that every runtime accepts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use super::samples::Variant;

const CONFIG: &str = include_str!("../../../benches/config.json");

/// The profile that Podman has on Debian, of golang-github-containers-common.
const PROFILE: &str = "/usr/share/containers/seccomp.json";

/// Static, of busybox-static.
const BUSYBOX: &str = "/bin/busybox";

/// Where the runtimes mount.
const DIRECTORIES: [&str; 4] = ["bin", "dev", "proc", "sys"];

/// As many as a container of Kubernetes with many volumes has.
const BINDS: usize = 50;

#[derive(Debug)]
pub struct Bundle {
    pub path: PathBuf,
}

impl Bundle {
    /// Makes the bundle in a new directory.
    pub fn make(path: PathBuf, variant: Variant, cgroup: &str) -> anyhow::Result<Self> {
        let rootfs = path.join("rootfs");
        for directory in DIRECTORIES {
            fs::create_dir_all(rootfs.join(directory))?;
        }
        fs::copy(BUSYBOX, rootfs.join("bin/busybox"))
            .with_context(|| format!("cannot copy {BUSYBOX}: is busybox-static installed?"))?;
        symlink("busybox", rootfs.join("bin/true"))?;
        let mut config: Value = serde_json::from_str(CONFIG)?;
        config["linux"]["cgroupsPath"] = json!(format!("/{cgroup}"));
        if variant == Variant::Seccomp {
            let capabilities = config["process"]["capabilities"]["bounding"].clone();
            config["linux"]["seccomp"] = profile(&capabilities)?;
        }
        if variant == Variant::Binds {
            let mounts =
                config["mounts"].as_array_mut().context("the configuration has no mounts")?;
            for number in 0..BINDS {
                mounts.push(bind(&path, number)?);
            }
        }
        fs::write(path.join("config.json"), serde_json::to_vec(&config)?)?;
        Ok(Self { path })
    }

    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }
}

/// A volume; every other one is read-only.
fn bind(bundle: &Path, number: usize) -> anyhow::Result<Value> {
    let source = bundle.join(format!("volumes/{number}"));
    fs::create_dir_all(&source)?;
    let access = if number.is_multiple_of(2) { "rw" } else { "ro" };
    Ok(json!({
        "destination": format!("/volumes/{number}"),
        "type": "bind",
        "source": source,
        "options": ["rbind", "rprivate", access],
    }))
}

/// The profile as the OCI runtime specification has it, for containers with these capabilities.
fn profile(capabilities: &Value) -> anyhow::Result<Value> {
    let text = fs::read_to_string(Path::new(PROFILE)).with_context(|| {
        format!("cannot read {PROFILE}: is golang-github-containers-common installed?")
    })?;
    translate(&serde_json::from_str(&text)?, capabilities)
}

/// The profile's own format has rules that only hold for some capabilities and architectures.
fn translate(profile: &Value, capabilities: &Value) -> anyhow::Result<Value> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "SCMP_ARCH_X86_64",
        "aarch64" => "SCMP_ARCH_AARCH64",
        other => anyhow::bail!("unknown architecture {other}"),
    };
    let maps = profile["archMap"].as_array().context("the profile has no archMap")?;
    let map = maps.iter().find(|map| map["architecture"] == architecture);
    let map = map.context("the profile is not for this architecture")?;
    let mut architectures = vec![map["architecture"].clone()];
    architectures.extend(map["subArchitectures"].as_array().into_iter().flatten().cloned());
    let rules = profile["syscalls"].as_array().context("the profile has no syscalls")?;
    let rules = rules.iter().filter(|rule| applies(rule, capabilities)).map(rule);
    let mut translated = json!({
        "defaultAction": profile["defaultAction"],
        "architectures": architectures,
        "syscalls": rules.collect::<Vec<_>>(),
    });
    if profile["defaultErrnoRet"].is_number() {
        translated["defaultErrnoRet"] = profile["defaultErrnoRet"].clone();
    }
    Ok(translated)
}

fn applies(rule: &Value, capabilities: &Value) -> bool {
    let has = |capability: &Value| capabilities.as_array().is_some_and(|c| c.contains(capability));
    let list = |condition: &str, key: &str| {
        rule[condition][key].as_array().map(Vec::as_slice).unwrap_or_default().to_vec()
    };
    let here = json!(if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" });
    list("includes", "caps").iter().all(has)
        && !list("excludes", "caps").iter().any(has)
        && (list("includes", "arches").is_empty() || list("includes", "arches").contains(&here))
        && !list("excludes", "arches").contains(&here)
}

fn rule(rule: &Value) -> Value {
    let mut translated = json!({"names": rule["names"], "action": rule["action"]});
    for key in ["args", "errnoRet"] {
        match &rule[key] {
            Value::Null => {}
            Value::Array(items) if items.is_empty() => {}
            value => translated[key] = value.clone(),
        }
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates_for_the_capabilities() {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 38,
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]},
                        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []}],
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
                {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
                {"names": ["kill"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_KILL"]}},
                {"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "excludes": {"caps": ["CAP_KILL"]}},
                {"names": ["s390"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
            ],
        });
        let translated = translate(&profile, &json!(["CAP_KILL"])).unwrap();
        assert_eq!(translated["defaultErrnoRet"], 38);
        let expected = json!([
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["kill"], "action": "SCMP_ACT_ALLOW"},
        ]);
        assert_eq!(translated["syscalls"], expected);
    }
}
