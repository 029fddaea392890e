//! `coracle features`.

use std::process::ExitCode;

use super::print;
use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Prints what this version can do.
pub fn features(_: &Invocation, _: &Log) -> Result<ExitCode> {
    print(&format!("{}\n", serde_json::to_string_pretty(&coracle::features())?))?;
    Ok(ExitCode::SUCCESS)
}
