//! `coracle mounts`.

use std::path::Path;
use std::process::ExitCode;

use coracle::{ContainerId, InitExe, LoadedMounts};

use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;

/// Adds mounts to a container that is there, or removes them.
pub fn mounts(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let argument = |index| Ok::<_, Failure>(invocation.argument(index)?.unwrap_or_default());
    let path = Path::new(argument(2)?);
    let id = ContainerId::parse(argument(1)?)?;
    let mounts = LoadedMounts::parse(&super::read(path)?, path)?;
    mounts.warnings.iter().for_each(|warning| log.warning(&warning.to_string()));
    let container = invocation.store()?.container(&id)?;
    match argument(0)? {
        "add" => container.add_mounts(&mounts, &InitExe::default())?,
        "remove" => container.remove_mounts(&mounts, &InitExe::default())?,
        other => return Err(Failure::new(format!("unknown action {other:?}: give add or remove"))),
    }
    Ok(ExitCode::SUCCESS)
}
