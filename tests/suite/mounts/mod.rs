//! `/root`, `/mounts`, and the paths and devices in them.

mod configurations;
mod defaults;
mod devices;
mod hiding;
mod idmap;
mod links;
mod live;
mod options;
mod propagation;
mod remount;
mod roots;
mod sources;
mod targets;
mod words;

use coracle_testkit::{Bundle, Context, MountEntry, Result, Suite, check, parse_mountinfo};
use serde_json::json;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group("mounts::configurations", configurations::TESTS)
        .group("mounts::defaults", defaults::TESTS)
        .group("mounts::options", options::TESTS)
        .group("mounts::idmap", idmap::TESTS)
        .group("mounts::links", links::TESTS)
        .group("mounts::remount", remount::TESTS)
        .group("mounts::roots", roots::TESTS)
        .group("mounts::words", words::TESTS)
        .group("mounts::sources", sources::TESTS)
        .group("mounts::targets", targets::TESTS)
        .group("mounts::propagation", propagation::TESTS)
        .group("mounts::hiding", hiding::TESTS)
        .group("mounts::devices", devices::TESTS)
        .group("mounts::live", live::TESTS)
}

/// The mounts that a container of this bundle sees.
pub fn mounts_in(t: &Context, bundle: Bundle) -> Result<Vec<MountEntry>> {
    let output = t.run(&bundle.args(&["cat", "/proc/self/mountinfo"]))?.expect(0)?;
    parse_mountinfo(&output.stdout)
}

/// The same bundle in a user namespace, in which ids are what they are outside.
fn mapped(bundle: Bundle) -> Bundle {
    let map = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
    let bundle = bundle.namespace("user", None);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
}

/// The topmost mount at this place.
pub fn at<'mounts>(mounts: &'mounts [MountEntry], target: &str) -> Result<&'mounts MountEntry> {
    let found = mounts.iter().rev().find(|mount| mount.target == target);
    found.ok_or_else(|| anyhow::anyhow!("nothing is mounted at {target}: {mounts:#?}"))
}

/// Fails the test unless the mount has exactly these flags (of those that are not about access times).
fn check_flags(mount: &MountEntry, expected: &[&str]) -> Result<()> {
    for flag in ["ro", "nosuid", "nodev", "noexec", "nosymfollow"] {
        let wanted = expected.contains(&flag);
        check!(mount.has(flag) == wanted, "{flag} should be {wanted}: {mount:?}");
    }
    Ok(())
}
