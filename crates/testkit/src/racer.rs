//! Somebody who exchanges two names as fast as the kernel can, while containers are started.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

use anyhow::{Context as _, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::{Result, eventually};

/// The name under which this program is started to exchange names.
pub(crate) const NAME: &str = "coracle-tests-racer";

/// How often it exchanges them between two notes of it.
const NOTED: u64 = 256;

/// A process that exchanges two names until it is dropped: renameat2(2), `RENAME_EXCHANGE`.
#[derive(Debug)]
pub struct Racer {
    child: Child,
    notes: PathBuf,
}

impl Racer {
    /// Starts it, and waits until it has exchanged `one` and `other` many times; `notes` is a file for itself.
    pub fn start(one: &Path, other: &Path, notes: PathBuf) -> Result<Self> {
        fs::write(&notes, 0_u64.to_ne_bytes())?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0(format!("{NAME}@")).args([one, other, &notes]);
        let racer = Self { child: command.spawn()?, notes };
        eventually("exchanges of the names", || Ok((racer.exchanges()? >= NOTED).then_some(())))?;
        Ok(racer)
    }

    /// How often it has exchanged them.
    pub fn exchanges(&self) -> Result<u64> {
        let bytes = fs::read(&self.notes)?;
        Ok(u64::from_ne_bytes(bytes.as_slice().try_into()?))
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Exchanges the names for ever, at a rhythm that is never the same for long.
pub(crate) fn run() -> Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [one, other, notes] = paths.as_slice() else { bail!("two names and a file") };
    let notes = File::options().write(true).open(notes)?;
    for count in 1_u64.. {
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).with_context(|| {
            format!("cannot exchange {} and {}", one.display(), other.display())
        })?;
        if count.is_multiple_of(NOTED) {
            notes.write_all_at(&count.to_ne_bytes(), 0)?;
        }
        for _ in 0..(count / NOTED % 32) * 64 {
            std::hint::spin_loop();
        }
    }
    Ok(ExitCode::SUCCESS)
}
