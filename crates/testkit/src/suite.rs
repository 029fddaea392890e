//! The harness.

use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::Result;
use crate::audit::Snapshot;
use crate::context::{Context, Shared};
use crate::stage::{self, Role};
use crate::{masked, racer};

/// What becomes of a test that does not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All was as it should be.
    Passed,
    /// It could not be seen here, for this reason.
    Skipped(String),
}

/// A test.
pub type TestFn = fn(&mut Context) -> Result<Verdict>;

/// A test and its name; see [`tests!`](crate::tests).
pub type Test = (&'static str, TestFn);

/// Tests in groups, run one after the other; after each it is looked what it left behind.
#[derive(Debug, Default)]
pub struct Suite {
    tests: Vec<(String, TestFn, bool)>,
    by_damage: bool,
}

/// A skipped test and the reason.
type Skips = Arc<Mutex<Vec<String>>>;

impl Suite {
    /// No tests yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Other runtimes than ours only fail by what they do to the host, not by what they leave behind.
    #[must_use]
    pub fn judge_others_by_damage(self) -> Self {
        Self { by_damage: true, ..self }
    }

    /// More tests, which only root can run.
    #[must_use]
    pub fn group(self, name: &str, tests: &[Test]) -> Self {
        self.add(name, tests, true)
    }

    /// More tests, which any user can run.
    #[must_use]
    pub fn group_for_all(self, name: &str, tests: &[Test]) -> Self {
        self.add(name, tests, false)
    }

    fn add(mut self, group: &str, tests: &[Test], root: bool) -> Self {
        let named = tests.iter().map(|(name, test)| (format!("{group}::{name}"), *test, root));
        self.tests.extend(named);
        self
    }

    /// Runs the tests that the command line asks for, as libtest does.
    pub fn main(self) -> ExitCode {
        let ended = match Role::of_this_process() {
            Role::Outside => stage::outside(),
            Role::Reaper(tag) => stage::reaper(&tag),
            Role::Suite(tag) => self.run(&tag),
            Role::Masked(call) => masked::run(&call),
            Role::Racer => racer::run(),
        };
        ended.unwrap_or_else(|error| {
            eprintln!("cannot run the tests: {error:#}");
            ExitCode::FAILURE
        })
    }

    fn run(self, tag: &str) -> Result<ExitCode> {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = arguments.test_threads.or(Some(1));
        let listing = arguments.list;
        let shared =
            if listing { None } else { Some(Arc::new(Shared::prepare(tag, self.by_damage)?)) };
        let skips = Skips::default();
        let trials = self.tests.into_iter().map(|(name, test, root)| {
            let (shared, skips, full) = (shared.clone(), Arc::clone(&skips), name.clone());
            Trial::ignorable_test(name, move || match shared {
                Some(shared) => attempt(&shared, &full, (test, root), &skips),
                None => Ok(Completion::Completed),
            })
        });
        let trials = trials.collect();
        let conclusion = libtest_mimic::run(&arguments, trials);
        let enough = listing || report(&skips);
        Ok(if enough { conclusion.exit_code() } else { ExitCode::from(101) })
    }
}

/// Lists what was skipped; false if that is more than allowed.
fn report(skips: &Skips) -> bool {
    let skips = skips.lock().unwrap_or_else(PoisonError::into_inner);
    for skip in skips.iter() {
        println!("SKIPPED {skip}");
    }
    println!("skipped: {}", skips.len());
    let allowed = env::var("CORACLE_TEST_MAX_SKIPPED").ok().and_then(|text| text.parse().ok());
    let enough = allowed.is_none_or(|allowed: usize| skips.len() <= allowed);
    if !enough {
        println!("more are skipped than CORACLE_TEST_MAX_SKIPPED allows");
    }
    enough
}

fn attempt(
    shared: &Arc<Shared>,
    name: &str,
    (test, root): (TestFn, bool),
    skips: &Skips,
) -> Result<Completion, Failed> {
    let verdict = if root && !shared.host.is_root() {
        Verdict::Skipped("needs root".to_owned())
    } else {
        audited(shared, test).map_err(|error| format!("{error:#}"))?
    };
    let Verdict::Skipped(reason) = verdict else { return Ok(Completion::Completed) };
    let skip = format!("{name}: {reason}");
    eprintln!("SKIPPED {skip}");
    skips.lock().unwrap_or_else(PoisonError::into_inner).push(skip);
    Ok(Completion::ignored_with(reason))
}

/// Runs a test; what it leaves behind is a failure, and is removed.
fn audited(shared: &Arc<Shared>, test: TestFn) -> Result<Verdict> {
    let before = Snapshot::take(&shared.scope)?;
    let mut context = Context::new(Arc::clone(shared))?;
    let ended = catch_unwind(AssertUnwindSafe(|| test(&mut context)));
    let verdict = ended.unwrap_or_else(|panic| Err(anyhow::anyhow!("panic: {}", text_of(&*panic))));
    // A test that failed did not come to its own cleaning.
    let leaks = match &verdict {
        Ok(_) if context.is_coracle() || !shared.by_damage => {
            [before.leaks(&shared.scope, &context.must_be_empty())?, context.damages()?].concat()
        }
        Ok(_) => [before.damages(&shared.scope)?, context.damages()?].concat(),
        Err(_) => Vec::new(),
    };
    before.restore(&shared.scope)?;
    context.remove()?;
    if leaks.is_empty() {
        return verdict;
    }
    Err(anyhow::anyhow!("it leaves behind:\n  {}", leaks.join("\n  ")))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
