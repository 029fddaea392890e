//! Any file of a v2 cgroup, as it is.

use crate::dir::Dir;
use crate::{Error, Result};

/// Writes a value line by line.
pub(crate) fn set(dir: &Dir, file: &str, value: &str) -> Result<()> {
    check_name(file)?;
    value.lines().try_for_each(|line| dir.write(file, line))
}

fn check_name(file: &str) -> Result<()> {
    let named = file.split_once('.').is_some_and(|(controller, _)| !controller.is_empty());
    if named && !file.contains('/') && !file.contains(|c: char| c.is_control()) {
        return Ok(());
    }
    Err(Error::InvalidValue {
        setting: "unified",
        value: file.into(),
        reason: "must be the name of a file, CONTROLLER.PARAMETER, without slashes",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_files_of_a_controller() {
        assert!(check_name("memory.high").is_ok());
        for name in ["", "memory", ".procs", "../x.max", "memory/x.y", "a.b\n"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
