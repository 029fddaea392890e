//! `coracle recvtty`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use coracle::{BlockedSignals, ConsoleListener};

use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;
use crate::receive::{Sink, show};

/// Receives terminals of containers, and shows one or reads many.
pub fn recvtty(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    // Before there is anything to be cleaned up.
    let signals = BlockedSignals::all()?;
    let signals = signals.descriptor()?;
    let flags = &invocation.flags;
    let socket = invocation.positional.first().map(Path::new).unwrap_or(Path::new(""));
    let listener = ConsoleListener::bind(socket)?;
    let _pid_file = flags.last("pid-file").map(|path| PidFile::write(path.as_ref())).transpose()?;
    let ended = match flags.text("mode")? {
        Some("null") => Sink::new(signals, listener).serve(log)?,
        _ => show(&signals, listener, flags.is_set("no-stdin"))?,
    };
    // As a shell would say of a program that the signal ended.
    let code = ended.and_then(|signal| u8::try_from(128 + signal.number()).ok());
    Ok(code.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// A file with the number of this process, for as long as this lives.
struct PidFile(PathBuf);

impl PidFile {
    /// Who sees the file can connect.
    fn write(path: &Path) -> Result<Self> {
        let failed = |error| Failure::new(format!("cannot write {}: {error}", path.display()));
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        fs::write(&temporary, std::process::id().to_string()).map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // One that somebody has removed already need not be.
        fs::remove_file(&self.0).unwrap_or_default();
    }
}
