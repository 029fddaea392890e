//! Compiled filters on disk.
//!
//! An entry is found by a hash, but it is the right one only if it holds the very profile that was asked
//! for, byte by byte: no collision gives one profile the filter of another.

use std::fmt::Display;
use std::fs::{DirBuilder, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use coracle_sys::Errno;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, renameat, unlinkat,
};
use rustix::process::{geteuid, getpid};

use crate::BpfProgram;

/// The directory is emptied before it has more entries than this; hosts have a few profiles.
const MOST_ENTRIES: usize = 64;

/// Compiled filters in a directory, for who starts programs under the same profiles again and again.
///
/// The directory and what is in it must belong to the effective user, and nobody else may have any right to
/// them: whoever can write there decides what is allowed. Anything else in its place is not used. It can be
/// removed at any time.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

/// A filter, and where it is from.
#[derive(Debug)]
pub struct Cached {
    /// The filter.
    pub program: BpfProgram,
    /// It was compiled before.
    pub found: bool,
    /// Why the cache was of no use, if there is a reason that the user should know.
    pub problem: Option<CacheProblem>,
}

/// Why a filter was compiled anew, or will be the next time.
#[derive(Debug, thiserror::Error)]
#[error("the compiled seccomp filter in {path:?} is not {what}: {reason}")]
pub struct CacheProblem {
    path: PathBuf,
    what: &'static str,
    reason: String,
}

impl Cache {
    /// A cache in `directory`, which is made, with its parents, for its owner alone, when there is something
    /// to keep.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The filter that was compiled from `source` before or, if there is none, what `compile` returns, which
    /// is kept.
    ///
    /// `source` must be all that the filter depends on, in any form, besides the running program. Another
    /// build of that shares nothing with it.
    ///
    /// # Errors
    ///
    /// Those of `compile`. A cache that cannot be used is none.
    pub fn program<E>(
        &self,
        source: &[u8],
        compile: impl FnOnce() -> Result<BpfProgram, E>,
    ) -> Result<Cached, E> {
        let Some(key) = Key::of(source) else {
            return Ok(Cached { program: compile()?, found: false, problem: None });
        };
        let found = self.find(&key);
        if let Ok(Some(program)) = found {
            return Ok(Cached { program, found: true, problem: None });
        }
        let program = compile()?;
        let kept = self.keep(&key, &program);
        Ok(Cached { program, found: false, problem: found.err().or(kept.err()) })
    }

    fn find(&self, key: &Key) -> Result<Option<BpfProgram>, CacheProblem> {
        let Some(directory) = self.open()? else { return Ok(None) };
        let name = key.name();
        let problem = |reason| CacheProblem::new(self.directory.join(&name), "used", reason);
        // Opening anything else than a file must neither wait nor have an effect.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match openat(&directory, &name, flags | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(problem(errno.to_string())),
        };
        let stat = check(&file, FileType::RegularFile).map_err(problem)?;
        let length = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if length > key.0.len() + BpfProgram::MAX_LEN * 8 {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let read = File::from(file).read_exact_at(&mut bytes, 0);
        read.map_err(|error| problem(error.to_string()))?;
        // Another profile has the same hash; or not all was written.
        let program = bytes.split_at_checked(key.0.len()).filter(|(found, _)| key.is(found));
        Ok(program.and_then(|(_, program)| BpfProgram::from_bytes(program).ok()))
    }

    fn keep(&self, key: &Key, program: &BpfProgram) -> Result<(), CacheProblem> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let failure = |error: std::io::Error| CacheProblem::new(&self.directory, "kept", error);
        let directory = match self.open()? {
            Some(directory) => directory,
            None => {
                let private = DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
                private.map_err(failure)?;
                self.open()?.ok_or_else(|| failure(Errno::NOENT.into()))?
            }
        };
        make_room(&directory).map_err(|errno| failure(errno.into()))?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = format!("new-{}-{number}", getpid().as_raw_nonzero());
        let write = || -> std::io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mut file = File::from(openat(&directory, &new, flags, Mode::RUSR | Mode::WUSR)?);
            file.write_all(&key.0)?;
            file.write_all(program.as_bytes())?;
            Ok(renameat(&directory, &new, &directory, key.name())?)
        };
        write().map_err(|error| {
            // The reason is why it could not be written; there may be nothing to remove.
            unlinkat(&directory, &new, AtFlags::empty()).unwrap_or_default();
            failure(error)
        })
    }

    /// The directory, if it is there.
    fn open(&self) -> Result<Option<OwnedFd>, CacheProblem> {
        let problem = |reason| CacheProblem::new(&self.directory, "used", reason);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(CWD, &self.directory, flags, Mode::empty()) {
            Ok(directory) => {
                check(&directory, FileType::Directory).map_err(problem)?;
                Ok(Some(directory))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(problem(errno.to_string())),
        }
    }
}

impl CacheProblem {
    fn new(path: impl AsRef<Path>, what: &'static str, reason: impl Display) -> Self {
        Self { path: path.as_ref().to_owned(), what, reason: reason.to_string() }
    }
}

/// What an entry begins with.
struct Key(Vec<u8>);

impl Key {
    /// Nothing, if it cannot be told who compiles.
    fn of(source: &[u8]) -> Option<Self> {
        let program = std::fs::metadata("/proc/self/exe").ok()?;
        let times = [program.mtime(), program.mtime_nsec()].map(i64::cast_unsigned);
        let length = source.len() as u64;
        let numbers = [program.dev(), program.ino(), program.size(), times[0], times[1], length];
        let numbers = numbers.map(u64::to_ne_bytes);
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        Some(Self([numbers.as_flattened(), version, b"\n", source].concat()))
    }

    /// Is it this one? Eight bytes at a time, as libraries' memcmp(3) are not all that quick.
    fn is(&self, found: &[u8]) -> bool {
        let (words, rest) = self.0.as_chunks::<8>();
        let (found_words, found_rest) = found.as_chunks();
        let number = |word: &[u8; 8]| u64::from_ne_bytes(*word);
        words.iter().map(number).eq(found_words.iter().map(number)) && rest == found_rest
    }

    fn name(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        format!("{:016x}", hasher.finish())
    }
}

/// Looks at what was opened. If others could decide what is in it, says why.
fn check(file: &OwnedFd, kind: FileType) -> Result<Stat, String> {
    let stat = fstat(file).map_err(|errno| errno.to_string())?;
    let is_directory = kind == FileType::Directory;
    let reason = if FileType::from_raw_mode(stat.st_mode) != kind {
        "it is no regular file"
    } else if stat.st_uid != geteuid().as_raw() {
        "it belongs to another user"
    } else if stat.st_mode & 0o077 != 0 {
        "it is not private to its owner"
    } else if !is_directory && stat.st_nlink > 1 {
        "it has a second name"
    } else {
        return Ok(stat);
    };
    Err(format!("{reason}; remove it"))
}

/// Removes all entries, and what writers left that were killed, before there are too many.
fn make_room(directory: &OwnedFd) -> Result<(), Errno> {
    let entries = Dir::read_from(directory)?.collect::<Result<Vec<_>, _>>()?;
    let names = entries.iter().map(|entry| entry.file_name());
    let names: Vec<_> = names.filter(|name| *name != c"." && *name != c"..").collect();
    if names.len() < MOST_ENTRIES {
        return Ok(());
    }
    for name in names {
        match unlinkat(directory, name, AtFlags::empty()) {
            // Another process makes room, too.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
