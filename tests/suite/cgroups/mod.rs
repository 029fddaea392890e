//! `/linux/cgroupsPath` and `/linux/resources`.

mod devices;
mod limits;
mod placement;
mod rdt;
mod visibility;

use coracle_testkit::Suite;

pub fn add_to(suite: Suite) -> Suite {
    suite
        .group("cgroups::placement", placement::TESTS)
        .group("cgroups::limits", limits::TESTS)
        .group("cgroups::devices", devices::TESTS)
        .group("cgroups::rdt", rdt::TESTS)
        .group("cgroups::visibility", visibility::TESTS)
}
