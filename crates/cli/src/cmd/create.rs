//! `coracle create`.

use std::process::ExitCode;

use coracle::{Bundle, ContainerBuilder, Error, SeccompFilter};

use super::{copies, service_manager};
use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

/// Creates a container that waits for its start.
pub fn create(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    let created = builder(invocation)?.create(&invocation.store()?);
    let created = created.inspect_err(|error| warn_of(error, log))?;
    note(created.warnings(), created.seccomp_filter(), log);
    Ok(ExitCode::SUCCESS)
}

/// Logs what is odd about a process that was started, and what its filter costs.
pub fn note(warnings: &[String], filter: Option<SeccompFilter>, log: &Log) {
    warnings.iter().for_each(|warning| log.warning(warning));
    if let Some(SeccompFilter { instructions, cached, .. }) = filter {
        let origin = if cached { "found in the cache" } else { "compiled" };
        log.debug(&format!("seccomp filter: {instructions} instructions, {origin}"));
    }
}

/// Logs what failed besides when a creation was taken back.
pub fn warn_of(error: &Error, log: &Log) {
    if let Error::Undone { warnings, .. } = error {
        warnings.iter().for_each(|warning| log.warning(warning));
    }
}

/// What `create` and `run` have in common.
pub fn builder(invocation: &Invocation) -> Result<ContainerBuilder> {
    let Invocation { flags, globals, .. } = invocation;
    let mut bundle = Bundle::open(flags.last("bundle").unwrap_or(".".as_ref()))?;
    if let Some(config) = flags.last("config") {
        bundle = bundle.with_config(std::path::absolute(config)?);
    }
    let mut builder = ContainerBuilder::new(invocation.id()?.as_str(), bundle)?
        .no_pivot(flags.is_set("no-pivot"))
        .no_new_keyring(flags.is_set("no-new-keyring"))
        .systemd_cgroup(globals.is_set("systemd-cgroup"))
        .rootless(invocation.rootless()?);
    if let Some(manager) = service_manager() {
        builder = builder.notify(manager);
    }
    let sockets = copies(&invocation.passed_on.sockets)?;
    if !sockets.is_empty() {
        builder = builder.socket_activation(sockets, std::env::var("LISTEN_FDNAMES").ok());
    }
    Ok(connected!(builder, invocation))
}
