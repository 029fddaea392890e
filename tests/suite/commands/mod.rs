//! Commands about existing containers, and those that tell of the program itself.

mod completion;
mod events;
mod features;
mod man;
mod pause;
mod ps;
mod recvtty;
mod schema;
mod stats;

use coracle_testkit::Suite;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group("commands::pause", pause::TESTS)
        .group("commands::ps", ps::TESTS)
        .group("commands::events", events::TESTS)
        .group("commands::stats", stats::TESTS)
        .group("commands::features", features::TESTS)
        .group("commands::completion", completion::TESTS)
        .group("commands::man", man::TESTS)
        .group("commands::recvtty", recvtty::TESTS)
}
