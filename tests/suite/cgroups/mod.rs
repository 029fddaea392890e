//! `/linux/cgroupsPath` and `/linux/resources`.

mod devices;
mod effects;
pub mod every_limit;
mod limits;
mod placement;
mod rdt;
pub mod removal;
mod visibility;

use coracle_testkit::Suite;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group("cgroups::placement", placement::TESTS)
        .group("cgroups::limits", limits::TESTS)
        .group("cgroups::every_limit", every_limit::TESTS)
        .group("cgroups::effects", effects::TESTS)
        .group("cgroups::removal", removal::TESTS)
        .group("cgroups::devices", devices::TESTS)
        .group("cgroups::rdt", rdt::TESTS)
        .group("cgroups::visibility", visibility::TESTS)
}
