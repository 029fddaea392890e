//! Devices on v2: no controller, but a program.

use crate::Result;
use crate::devices::{DeviceRule, Policy, assemble, replace};
use crate::dir::Dir;
use crate::set::Skips;

pub(crate) fn set(dir: &Dir, rules: &[DeviceRule], _: &mut Skips) -> Result<()> {
    let policy = Policy::from_rules(rules)?;
    replace(dir, &assemble(&policy))
}
