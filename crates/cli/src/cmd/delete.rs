//! `coracle delete`.

use std::process::ExitCode;

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Deletes a container.
pub fn delete(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let (store, id) = (invocation.store()?, invocation.id()?);
    let warnings = if invocation.flags.is_set("force") {
        store.delete_forcibly(&id)?
    } else {
        store.container(&id)?.delete()?
    };
    warnings.iter().for_each(|warning| log.warning(warning));
    Ok(ExitCode::SUCCESS)
}
