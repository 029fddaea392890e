//! `coracle start`.

use std::process::ExitCode;

use super::service_manager;
use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Executes the command of a created container; for a service manager, waits until it is ready.
pub fn start(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let container = invocation.store()?.container(&invocation.id()?)?;
    let notify = service_manager().map(|manager| container.notify_proxy(&manager)).transpose()?;
    container.start()?;
    if let (Some(notify), Some((pid, pidfd))) = (notify.flatten(), container.process()?) {
        notify.forward(pid, &pidfd)?;
    }
    Ok(ExitCode::SUCCESS)
}
