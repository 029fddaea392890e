//! Commands about existing containers, and those that tell of the program itself.

mod pause;
mod ps;

use coracle_testkit::Suite;

pub fn add_to(suite: Suite) -> Suite {
    suite.group("commands::pause", pause::TESTS).group("commands::ps", ps::TESTS)
}
