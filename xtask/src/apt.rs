//! The machine's own package sources, from which all others are derived.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::Context;

use crate::host;

/// The release that the guest is made of.
pub const GUEST: &str = "bookworm";
/// Where newer kernels and emulators for [`GUEST`] are.
pub const BACKPORTS: &str = "bookworm-backports";
/// Where the oldest supported kernel is.
const OLDEST: &str = "bullseye";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The release of Debian on this machine.
pub fn codename() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let codename = value("VERSION_CODENAME").filter(|_| value("ID") == Some("debian"));
    Ok(codename.context("this is not Debian, whose packages are needed")?.to_owned())
}

/// Whether the machine can install from [`BACKPORTS`].
pub fn has_backports() -> anyhow::Result<bool> {
    Ok(releases()?.contains_key(BACKPORTS))
}

/// The source entry for [`BACKPORTS`].
pub fn backports() -> anyhow::Result<String> {
    let host = codename()?;
    let releases = releases()?;
    let uri = releases.get(&host).with_context(|| format!("apt has no source for {host}"))?;
    Ok(entry(uri, BACKPORTS))
}

/// The source entries for [`GUEST`], with its updates where the machine has its own.
pub fn guest() -> anyhow::Result<Vec<String>> {
    sources(GUEST, &["", "-updates", "-security"])
}

/// The source entries for [`OLDEST`].
pub fn oldest() -> anyhow::Result<Vec<String>> {
    sources(OLDEST, &["", "-security"])
}

fn sources(release: &str, suffixes: &[&str]) -> anyhow::Result<Vec<String>> {
    let host = codename()?;
    let releases = releases()?;
    let entries = suffixes.iter().filter_map(|suffix| {
        let uri = releases.get(&format!("{host}{suffix}"))?;
        Some(entry(uri, &format!("{release}{suffix}")))
    });
    Ok(entries.collect())
}

/// How apt fetches here (proxies, checks), as configuration for another apt.
pub fn acquire_options() -> anyhow::Result<String> {
    let all = host::stdout(Command::new("apt-config").args(["dump", "Acquire"]))?;
    Ok(all
        .lines()
        .filter(|line| line.starts_with("Acquire"))
        .map(|line| format!("{line}\n"))
        .collect())
}

fn entry(uri: &str, release: &str) -> String {
    format!("deb [signed-by={KEYRING}] {uri} {release} main")
}

/// The address of each release with the component main.
///
/// Where several sources have a release, the first counts: the system's own are before those that
/// were added under the same name.
fn releases() -> anyhow::Result<BTreeMap<String, String>> {
    let text = host::stdout(Command::new("apt-get").args([
        "indextargets",
        "--no-release-info", // works before the first `apt-get update`
        "--format=$(COMPONENT) $(RELEASE) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let mut releases = BTreeMap::new();
    for line in text.lines() {
        if let Some((release, uri)) = line.strip_prefix("main ").and_then(|it| it.split_once(' ')) {
            releases.entry(release.to_owned()).or_insert_with(|| uri.to_owned());
        }
    }
    Ok(releases)
}
