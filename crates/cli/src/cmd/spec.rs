//! `coracle spec`.

use std::process::ExitCode;

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Writes a configuration to start from.
pub fn spec(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let directory = invocation.flags.last("bundle").unwrap_or(".".as_ref());
    let user = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let rootless = invocation.flags.is_set("rootless").then_some(user);
    coracle_spec::write_default(directory, rootless)?;
    Ok(ExitCode::SUCCESS)
}
