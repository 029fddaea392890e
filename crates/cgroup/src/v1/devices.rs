//! `devices` of v1; see devices.rst.

use rustix::fs::OFlags;

use crate::devices::{DeviceRule, Policy};
use crate::dir::Dir;
use crate::set::Skips;
use crate::{Error, Result};

const LIST: &str = "devices.list";

/// Changes only what differs from the rules, then looks whether that is what came of it.
pub(crate) fn set(dir: &Dir, rules: &[DeviceRule], _: &mut Skips) -> Result<()> {
    let target = Policy::from_rules(rules)?;
    let transition = read(dir)?.transition(&target);
    // One descriptor for each file: a container has a dozen rules.
    let mut files = [("devices.deny", None), ("devices.allow", None)];
    for rule in transition {
        let (file, fd) = &mut files[usize::from(rule.allow)];
        let fd = match fd {
            Some(fd) => fd,
            None => fd.insert(dir.open(file, OFlags::WRONLY)?),
        };
        dir.write_to(fd, file, &rule.to_string())?;
    }
    let reached = read(dir)?;
    // What is denied by exception cannot be read back.
    if reached.allow != target.allow || (!target.allow && reached != target) {
        let list = dir.read(LIST)?;
        return Err(dir.malformed(LIST, &list, "the devices that were asked for"));
    }
    Ok(())
}

fn read(dir: &Dir) -> Result<Policy> {
    let list = dir.read(LIST)?;
    Policy::from_list(&list)
        .ok_or_else(|| -> Error { dir.malformed(LIST, &list, "a list of devices") })
}
