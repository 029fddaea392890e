//! Attacks on whoever starts containers, as they were published for container runtimes, and their kin.
//!
//! Each test is a container, an image, a configuration or a neighbour that is made to do harm. A test judges by
//! effects: the runtime refuses, or what it makes is harmless; and a tree that stands for the host is as it was
//! ([`Context::sentinel`](coracle_testkit::Context::sentinel)). So the same tests judge other runtimes:
//! `cargo xtask attacks --runtime /usr/sbin/runc`. Where the same without the attack does not work either, the
//! attack is not applicable.
//!
//! Every test has been seen to fail without the defence it is about: `undefended` has a patch for each that
//! takes the defence away, and `cargo xtask undefended` tries them.
//!
//! Races are run some hundred times; `CORACLE_TEST_ROUNDS` says how often instead. docs/attacks.md lists which
//! published attacks are here, and which are not, because they are on something that a runtime does not do.

#![forbid(unsafe_code)]

mod descriptors;
mod files;
mod identity;
mod input;
mod joining;
mod links;
mod masks;
mod procfs;
mod races;
mod sealing;
mod terminals;

use std::path::Path;
use std::process::ExitCode;

use coracle_testkit::{Bundle, Container, Context, Output, Result, Suite, check};

fn main() -> ExitCode {
    let suite = Suite::new()
        .judge_others_by_damage()
        .group("links", links::TESTS)
        .group("races", races::TESTS)
        .group("procfs", procfs::TESTS)
        .group("masks", masks::TESTS)
        .group("terminals", terminals::TESTS)
        .group("files", files::TESTS)
        .group("descriptors", descriptors::TESTS)
        .group("joining", joining::TESTS)
        .group("sealing", sealing::TESTS)
        .group("identity", identity::TESTS)
        .group("input", input::TESTS);
    suite.main()
}

/// The bundle without what the configuration mounts there and below.
fn without(bundle: Bundle, target: &str) -> Bundle {
    let mounts = bundle.spec()["mounts"].as_array().cloned().unwrap_or_default();
    let others = mounts.into_iter().filter(|mount| {
        let path = Path::new(mount["destination"].as_str().unwrap_or_default());
        !path.starts_with(target)
    });
    bundle.set("/mounts", others.collect::<Vec<_>>())
}

/// Ends the test as skipped unless the runtime can do this where nobody attacks. Ours must.
macro_rules! need_harmless {
    ($t:expr, $command:expr) => {
        let output = $command.run()?;
        coracle_testkit::check!(
            !$t.is_coracle() || output.code() == 0,
            "without an attack: {output}"
        );
        let said = output.stderr.lines().last().unwrap_or_default();
        coracle_testkit::need!(
            output.code() == 0,
            "it cannot do this where nobody attacks, either: {said}"
        );
    };
}
pub(crate) use need_harmless;

/// A container that waits.
fn idle(t: &Context) -> Result<Container> {
    let container = t.start(&t.bundle()?.idle())?;
    container.wait_for("ready")?;
    Ok(container)
}

/// Fails the test unless the runtime has refused; ours with these words, others with theirs.
fn refused(t: &Context, output: &Output, words: &[&str]) -> Result<()> {
    check!(output.code() != 0, "it succeeded: {output}");
    if t.is_coracle() {
        output.says(words)?;
    }
    Ok(())
}

/// A path as the text that a configuration has.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
