//! From creation to deletion.

mod create;
mod delete;
mod descriptors;
mod foreground;
mod signals;

use coracle_testkit::Suite;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group("lifecycle::foreground", foreground::TESTS)
        .group("lifecycle::create", create::TESTS)
        .group("lifecycle::signals", signals::TESTS)
        .group("lifecycle::delete", delete::TESTS)
        .group("lifecycle::descriptors", descriptors::TESTS)
}
