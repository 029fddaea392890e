//! The coracle command: an OCI runtime.

#![forbid(unsafe_code)]

mod cmd;
mod complete;
mod error;
mod exit_code;
mod help;
mod log;
mod man;
mod parse;
mod receive;
mod table;

use std::process::ExitCode;

use crate::log::Log;
use crate::parse::Invocation;

/// Loads a configuration with a seccomp profile in two thirds of the time that musl's malloc takes.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    // A caller that ignores SIGCHLD would have our children vanish unwaited for; and what it left open is
    // nothing for hooks and helpers.
    let prepared =
        coracle_sys::signal::reset_child().and_then(|()| coracle_sys::fd::close_on_exec_from(3));
    if let Err(error) = prepared {
        return error::Failure::from(error).report(&Log::default());
    }
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let invocation = match Invocation::parse(args) {
        Ok(invocation) => invocation,
        Err(refusal) => return refusal.report(),
    };
    let log = match Log::open(&invocation.globals) {
        Ok(log) => log,
        Err(error) => return error.report(&Log::default()),
    };
    log.debug(&format!("{invocation}"));
    match (invocation.command.run)(&invocation, &log) {
        Ok(code) => code,
        Err(failure) => failure.with_code(invocation.command.failure()).report(&log),
    }
}
