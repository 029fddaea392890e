//! The init program, in a memory file that nobody can change.
//!
//! A container's first process still is the init program for a moment, and whoever runs in the container
//! can then open its file. If that were a file of the host, it could be overwritten.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::{Error, Result};

/// The name under which the init program is started, and by which a program knows that it is.
pub(crate) const NAME: &str = "coracle-init";

/// The init program that was built with this crate; empty where it could not be.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/coracle-init"));

/// Where the init program comes from.
#[derive(Debug, Clone, Default)]
pub enum InitExe {
    /// What was built with this crate, 0.6 MB of the calling program. The default.
    #[default]
    Embedded,
    /// An installed file.
    Installed(PathBuf),
    /// The calling program itself, which must call [`init_entry`] first in `main`.
    SelfExe,
    /// A copy that was sealed before, with [`InitExe::seal`]: for programs that start many containers.
    Sealed(SealedExe),
}

/// A sealed copy of the init program.
#[derive(Debug, Clone)]
pub struct SealedExe(Arc<OwnedFd>);

impl InitExe {
    /// Copies the program into a sealed memory file.
    pub fn seal(&self) -> Result<SealedExe> {
        let (file, path) = match self {
            Self::Sealed(sealed) => return Ok(sealed.clone()),
            Self::Embedded if EMBEDDED.is_empty() => {
                let message = "no init program was built into this one: \
                               give InitExe::Installed or InitExe::SelfExe";
                return Err(Error::Usage(message));
            }
            Self::Embedded => return seal(EMBEDDED),
            Self::Installed(path) => (File::open(path), path.clone()),
            Self::SelfExe => (File::open("/proc/self/exe"), PathBuf::from("/proc/self/exe")),
        };
        let mut bytes = Vec::new();
        file.and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|error| Error::file("read", path, error))?;
        seal(&bytes)
    }
}

impl SealedExe {
    /// The path by which a new process executes it.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

impl AsFd for SealedExe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn seal(bytes: &[u8]) -> Result<SealedExe> {
    let failure = |error: std::io::Error| Error::file("seal", "the init program", error);
    let errno = |errno: Errno| failure(errno.into());
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Where the host forbids executable memory files by default, they must be asked for; before
    // Linux 6.3 nobody knew the flag.
    let memory = match memfd_create(NAME, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(NAME, flags),
        memory => memory,
    };
    let memory = File::from(memory.map_err(errno)?);
    (&memory).write_all(bytes).map_err(failure)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&memory, seals).map_err(errno)?;
    // A caller without standard streams may have got one of their numbers, which the child reuses.
    let memory = if memory.as_raw_fd() < 3 {
        fcntl_dupfd_cloexec(&memory, 3).map_err(errno)?
    } else {
        memory.into()
    };
    Ok(SealedExe(Arc::new(memory)))
}

/// Becomes the init program if that is what this process was started as.
///
/// For programs that use [`InitExe::SelfExe`]: call it first in `main`, before any thread is started, and
/// return what it returns.
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     if let Some(code) = coracle::init_entry() {
///         return code;
///     }
///     // … the program
///     ExitCode::SUCCESS
/// }
/// ```
pub fn init_entry() -> Option<ExitCode> {
    let name = std::env::args_os().next()?;
    (name.as_bytes() == NAME.as_bytes()).then(coracle_init::main)
}
