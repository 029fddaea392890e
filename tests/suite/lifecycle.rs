//! From creation to deletion.

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Context, Result, Test, Verdict, check_eq, tests};

pub const TESTS: &[Test] = tests![hello, leaky];

fn hello(t: &mut Context) -> Result<Verdict> {
    check_eq!(t.script("echo hello")?.text(), "hello");
    Ok(Passed)
}

fn leaky(t: &mut Context) -> Result<Verdict> {
    t.start(&t.bundle()?.idle())?;
    Ok(Passed)
}
