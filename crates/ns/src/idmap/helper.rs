//! newuidmap(1) and newgidmap(1): the setuid helpers that map subordinate ids.

use std::process::{Command, Stdio};

use rustix::process::Pid;

use super::{IdMap, IdMapping};
use crate::{Error, Result};

/// Lets `program` write `map` for the process `pid`; `ranges` is the file where its permissions stand.
pub(super) fn run(program: &'static str, ranges: &str, pid: Pid, map: &IdMap) -> Result<()> {
    let numbers = map.0.iter().flat_map(|IdMapping { inside, outside, count }| {
        [inside.to_string(), outside.to_string(), count.to_string()]
    });
    let output = Command::new(program)
        .arg(pid.as_raw_nonzero().to_string())
        .args(numbers)
        .stdin(Stdio::null())
        .output();
    let hint = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{}: add the ranges to {ranges} or map only your own id", said.trim())
        }
        Err(error) => {
            format!(
                "{program} does not run ({error}): install it (Debian: uidmap) or map only your own id"
            )
        }
    };
    let file = if program == "newuidmap" { "uid_map" } else { "gid_map" };
    Err(Error::IdMap { file, hint, source: None })
}
