//! `exec`.

mod affinity;
mod confinement;
mod descriptors;
mod environment;
mod identity;
mod namespaces;
mod placement;
mod programs;
mod races;
mod specification;
mod terminals;

use std::fs;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Container, Context, Result, Suite, Verdict};

use crate::rootless;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group_for_all("exec::programs", programs::TESTS_FOR_ALL)
        .group("exec::programs", programs::TESTS)
        .group_for_all("exec::specification", specification::TESTS_FOR_ALL)
        .group("exec::specification", specification::TESTS)
        .group_for_all("exec::environment", environment::TESTS_FOR_ALL)
        .group("exec::environment", environment::TESTS)
        .group("exec::identity", identity::TESTS)
        .group("exec::confinement", confinement::TESTS)
        .group_for_all("exec::terminals", terminals::TESTS_FOR_ALL)
        .group("exec::terminals", terminals::TESTS)
        .group_for_all("exec::descriptors", descriptors::TESTS_FOR_ALL)
        .group("exec::descriptors", descriptors::TESTS)
        .group_for_all("exec::namespaces", namespaces::TESTS_FOR_ALL)
        .group("exec::namespaces", namespaces::TESTS)
        .group("exec::placement", placement::TESTS)
        .group("exec::affinity", affinity::TESTS)
        .group("exec::races", races::TESTS)
}

/// A container that waits.
fn idle(t: &Context) -> Result<Container> {
    let container = t.start(&t.bundle()?.idle())?;
    container.wait_for("ready")?;
    Ok(container)
}

/// Tries it in a container that waits, and in one of a user without privileges.
fn in_both(t: &Context, attempt: impl Fn(&Container) -> Result<()>) -> Result<Verdict> {
    if t.host().is_root() {
        let container = idle(t)?;
        attempt(&container)?;
        container.delete_forcibly()?;
    }
    let container = rootless::create(t, &rootless::bundle(t)?.idle())?;
    container.start()?;
    container.wait_for("ready")?;
    attempt(&container)?;
    container.delete_forcibly()?;
    Ok(Passed)
}

/// A file with the description of a process.
pub(crate) fn process_file(t: &Context, process: &serde_json::Value) -> Result<String> {
    let path = t.path("process.json");
    fs::write(&path, process.to_string())?;
    Ok(path.to_string_lossy().into_owned())
}

/// The value of a field in the text of a `/proc/PID/status`.
fn field<'text>(status: &'text str, name: &str) -> &'text str {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim());
    values.next().unwrap_or_default()
}
