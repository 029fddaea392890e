//! The init program, in a memory file that nobody can change.
//!
//! A container's first process still is the init program for a moment, and whoever runs in the container
//! can then open its file. If that were a file of the host, it could be overwritten.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use coracle_sys::{SyscallError, memfd};
use rustix::fs::MemfdFlags;
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::{Error, Result};

/// The name under which the init program is started, and by which a program knows that it is.
pub(crate) const NAME: &str = "coracle-init";

/// The init program that was built with this crate; empty where it could not be.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/coracle-init"));

/// Where the init program comes from.
#[derive(Debug, Clone, Default)]
pub enum InitExe {
    /// What was built with this crate, 0.8 MB of the calling program. The default.
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
            Self::Embedded => {
                return embedded_in_file().map_or_else(|| seal(EMBEDDED), seal);
            }
            Self::Installed(path) => (File::open(path), path.clone()),
            Self::SelfExe => (File::open("/proc/self/exe"), PathBuf::from("/proc/self/exe")),
        };
        seal(file.map_err(|error| Error::file("read", path, error))?)
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

/// The embedded program where the calling program's file has it: copied from there, by the kernel, it
/// does not become memory of the caller.
fn embedded_in_file() -> Option<Take<File>> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let address = EMBEDDED.as_ptr().addr() as u64;
    let (offset, inode) = maps.lines().find_map(|line| mapped_from(line, address))?;
    let mut file = File::open("/proc/self/exe").ok()?;
    // A library is in another file.
    let there = |place: usize, bytes: &[u8]| {
        let mut found = vec![0; bytes.len()];
        let read = file.read_exact_at(&mut found, offset + place as u64);
        read.is_ok() && found == bytes
    };
    let (first, last) = (EMBEDDED.first_chunk::<64>()?, EMBEDDED.last_chunk::<64>()?);
    let same = file.metadata().ok()?.ino() == inode
        && there(0, first)
        && there(EMBEDDED.len() - last.len(), last);
    file.seek(SeekFrom::Start(offset)).ok().filter(|_| same)?;
    Some(file.take(EMBEDDED.len() as u64))
}

/// The offset and the inode number of what a line of proc_pid_maps(5) says is mapped at `address`.
fn mapped_from(line: &str, address: u64) -> Option<(u64, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16));
    let (start, end) = (start.ok()?, end.ok()?);
    let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    (start..end).contains(&address).then(|| (offset + (address - start), inode))
}

fn seal(mut program: impl Read) -> Result<SealedExe> {
    let failure = |error: io::Error| Error::file("seal", "the init program", error);
    let refused = |error: SyscallError| failure(io::Error::other(error));
    // Where the host forbids executable memory files by default, they must be asked for; before
    // Linux 6.3 nobody knew the flag.
    let memory = match memfd::sealable(NAME, MemfdFlags::EXEC) {
        Err(error) if error.errno() == Errno::INVAL => memfd::sealable(NAME, MemfdFlags::empty()),
        memory => memory,
    };
    let mut memory = memory.map_err(refused)?;
    io::copy(&mut program, &mut memory).map_err(failure)?;
    memfd::seal(&memory).map_err(refused)?;
    // A caller without standard streams may have got one of their numbers, which the child reuses.
    let memory = if memory.as_raw_fd() < 3 {
        fcntl_dupfd_cloexec(&memory, 3).map_err(|errno| failure(errno.into()))?
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_says_where_it_is_from() {
        let line = "7f10a000-7f10c000 r--p 00002000 fd:00 4711                       /usr/bin/a b";
        assert_eq!(mapped_from(line, 0x7f10_b001), Some((0x3001, 4711)));
        assert_eq!(mapped_from(line, 0x7f10_c000), None);
        assert_eq!(mapped_from("", 0), None);
    }

    #[test]
    fn the_file_of_the_program_has_what_is_embedded() {
        let mut found = Vec::new();
        embedded_in_file().unwrap().read_to_end(&mut found).unwrap();
        assert!(found == EMBEDDED);
    }

    #[test]
    fn a_sealed_copy_is_whole_and_cannot_be_changed() {
        for source in [InitExe::Embedded, InitExe::SelfExe] {
            let sealed = source.seal().unwrap();
            let expected = match source {
                InitExe::Embedded => EMBEDDED.to_vec(),
                _ => fs::read("/proc/self/exe").unwrap(),
            };
            assert!(fs::read(sealed.path()).unwrap() == expected);
            let written = File::options().write(true).open(sealed.path());
            assert!(written.and_then(|file| file.write_at(b"x", 0)).is_err());
        }
    }
}
