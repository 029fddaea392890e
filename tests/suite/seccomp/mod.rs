//! `/linux/seccomp`.

mod actions;
mod cache;
mod explain;
mod notify;
mod peers;
pub mod probe;
mod prober;
mod profiles;
mod record;
mod rules;

use coracle_testkit::{Bundle, Suite};
use serde_json::{Value, json};

pub fn add_to(suite: Suite) -> Suite {
    let suite = suite.group("seccomp::actions", actions::TESTS);
    let suite = suite.group("seccomp::cache", cache::TESTS);
    let suite = suite.group("seccomp::explain", explain::TESTS);
    let suite = suite.group("seccomp::peers", peers::TESTS);
    suite
        .group("seccomp::notify", notify::TESTS)
        .group("seccomp::profiles", profiles::TESTS)
        .group("seccomp::record", record::TESTS)
        .group("seccomp::rules", rules::TESTS)
}

/// A filter with a default action and rules.
fn filter(bundle: Bundle, default: &str, rules: Value) -> Bundle {
    bundle.set("/linux/seccomp", json!({"defaultAction": default, "syscalls": rules}))
}

/// A filter that answers getppid(2) with an action and lets all others pass.
fn on_getppid(bundle: Bundle, action: &str) -> Bundle {
    filter(bundle, "SCMP_ACT_ALLOW", json!([{"names": ["getppid"], "action": action}]))
}
