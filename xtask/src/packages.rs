//! The Debian packages that the project calls on the host.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::{apt, host};

/// What the tests, examples and benchmarks call.
pub const TESTS: &[&str] = &[
    "attr",
    "buildah",
    "busybox-static",
    "catatonit",
    "containerd",
    "crun",
    "docker.io",
    "fish",
    "iproute2",
    "jq",
    "libcap2-bin",
    "libseccomp-dev",
    "man-db",
    "podman",
    "procps",
    "runc",
    "strace",
    "uidmap",
    "umoci",
    "zsh",
];

/// What `cargo xtask guest` calls.
pub const GUEST: &[&str] =
    &["busybox-static", "e2fsprogs", "kmod", "mmdebstrap", QEMU, "xz-utils", "zstd"];

const QEMU: &str = "qemu-system-x86";
/// Version 7.2, of Debian 12, miscompiles: one in four boots of Linux 6.12 ends in a panic.
const QEMU_OLDEST: u32 = 8;

/// Installs what is missing of `names`, and says so. Quick when nothing is.
pub fn ensure(names: &[&str]) -> anyhow::Result<()> {
    let missing = missing(names)?;
    if missing.is_empty() {
        return Ok(());
    }
    let script = install_script(&missing)
        .with_context(|| format!("cannot install {}", missing.join(", ")))?;
    if !rustix::process::geteuid().is_root() {
        bail!("packages are missing; to install them, run as root:\n\n{script}");
    }
    eprintln!("xtask: installing {}", missing.join(", "));
    host::run(Command::new("sh").args(["-ec", &script]).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Those of `names` that are not installed, or too old.
pub fn missing<'a>(names: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status} ${Version}\n", "--"])
        .args(names)
        .stderr(Stdio::null()) // complains of packages it does not know
        .output();
    let Ok(output) = output else {
        bail!("there is no dpkg-query: only Debian has the packages {}", names.join(", "));
    };
    let text = String::from_utf8(output.stdout)?;
    let installed: BTreeMap<_, _> = text.lines().filter_map(installed).collect();
    let usable = |name| installed.get(name).is_some_and(|version| is_usable(name, version));
    Ok(names.iter().copied().filter(|name| !usable(*name)).collect())
}

/// Name and version of an installed package in a line of dpkg-query.
fn installed(line: &str) -> Option<(&str, &str)> {
    let mut fields = line.split(' ');
    let (name, status, version) = (fields.next()?, fields.next()?, fields.next()?);
    (status == "installed").then_some((name, version))
}

fn is_usable(name: &str, version: &str) -> bool {
    // A version is [epoch:]upstream[-revision].
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    let major = upstream.split('.').next().and_then(|major| major.parse().ok());
    name != QEMU || major.is_some_and(|major: u32| major >= QEMU_OLDEST)
}

fn install_script(missing: &[&str]) -> anyhow::Result<String> {
    let install = "apt-get install --yes --no-install-recommends --option DPkg::Lock::Timeout=600";
    let (newer, usual): (Vec<&str>, _) = missing.iter().partition(|name| **name == QEMU);
    let needs_backports = !newer.is_empty() && apt::codename()? == apt::GUEST;
    let mut script = String::new();
    if needs_backports && !apt::has_backports()? {
        let file = "/etc/apt/sources.list.d/coracle-backports.list";
        script += &format!("echo '{}' > {file}\n", apt::backports()?);
    }
    script += "apt-get update\n";
    if !usual.is_empty() {
        script += &format!("{install} {}\n", usual.join(" "));
    }
    if !newer.is_empty() {
        let release = if needs_backports {
            format!("--target-release {} ", apt::BACKPORTS)
        } else {
            String::new()
        };
        script += &format!("{install} {release}{QEMU}\n");
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_is_installed() {
        assert_eq!(installed("jq installed 1.6-2.1"), Some(("jq", "1.6-2.1")));
        assert_eq!(installed("jq config-files 1.6-2.1"), None);
        assert_eq!(installed(""), None);
    }

    #[test]
    fn wants_a_newer_qemu() {
        assert!(!is_usable(QEMU, "1:7.2+dfsg-7+deb12u18+b3"));
        assert!(is_usable(QEMU, "1:10.0.2+ds-2+deb13u1~bpo12+1"));
        assert!(is_usable("jq", "1.6-2.1"));
    }
}
