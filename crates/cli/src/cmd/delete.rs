//! `coracle delete`.

use std::process::ExitCode;

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Deletes a container, or several.
pub fn delete(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let store = invocation.store()?;
    invocation.for_each_id(&store, |id| {
        let warnings = if invocation.flags.is_set("force") {
            store.delete_forcibly(id)?
        } else {
            store.container(id)?.delete()?
        };
        warnings.iter().for_each(|warning| log.warning(warning));
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
