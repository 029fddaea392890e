//! `/process`.

mod confinement;
mod effects;
mod environment;
mod identity;
mod landlock;
mod limits;
mod scheduler;
mod streams;

use coracle_testkit::Suite;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group("process::environment", environment::TESTS)
        .group("process::identity", identity::TESTS)
        .group("process::confinement", confinement::TESTS)
        .group("process::limits", limits::TESTS)
        .group("process::effects", effects::TESTS)
        .group("process::scheduler", scheduler::TESTS)
        .group("process::landlock", landlock::TESTS)
        .group("process::streams", streams::TESTS)
}

/// The value of a field in the text of a `/proc/PID/status`.
fn field<'text>(status: &'text str, name: &str) -> &'text str {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim());
    values.next().unwrap_or_default()
}
