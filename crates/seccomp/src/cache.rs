//! Compiled filters on disk.
//!
//! An entry is found by a hash, but it is the right one only if it holds the very profile that was asked
//! for, byte by byte: no collision gives one profile the filter of another.

use std::fmt::Display;
use std::fs::{DirBuilder, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{ErrorKind, Write};
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
const LONGEST_KEY: usize = 256 << 10;
/// A little more than that of the profiles that engines ship.
const USUAL_KEY: usize = 8 << 10;

/// This compiler of filters.
const COMPILER: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("SOURCES"), "\n");

/// Compiled filters in a directory, for who starts programs under the same profiles again and again.
///
/// The directory and what is in it must belong to the effective user, and nobody else may have any right to
/// them: whoever can write there decides what is allowed. Anything else in its place is not used. That nobody
/// else can exchange a directory on the way to it is up to the caller. It can be removed at any time.
///
/// ```no_run
/// # use coracle_seccomp::{Cache, CacheKey, Profile, compile};
/// # fn program(profile: &Profile, text: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::new("/run/example/filters");
/// let mut key = CacheKey::new().ok_or("no procfs")?;
/// key.extend(text.bytes());
/// let program = match cache.find(&key)? {
///     Some(program) => program,
///     None => {
///         let program = compile(profile)?;
///         cache.keep(&key, &program)?;
///         program
///     }
/// };
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

/// Why the cache was of no use. No reason not to go on.
#[derive(Debug, thiserror::Error)]
#[error("the compiled seccomp filter in {path:?} is not {what}: {reason}")]
pub struct CacheProblem {
    path: PathBuf,
    what: &'static str,
    reason: String,
}

impl Cache {
    /// A cache in `directory`, which is made, for its owner alone, when there is something to keep.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The filter that was kept, if any.
    ///
    /// # Errors
    ///
    /// There is something that is not to be trusted.
    pub fn find(&self, key: &CacheKey) -> Result<Option<BpfProgram>, CacheProblem> {
        if key.0.len() > LONGEST_KEY {
            return Ok(None);
        }
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
        if length > key.0.len() + 2 * size_of::<u64>() + BpfProgram::MAX_LEN * 8 {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let read = File::from(file).read_exact_at(&mut bytes, 0);
        read.map_err(|error| problem(error.to_string()))?;
        Ok(key.program_in(&bytes))
    }

    /// Keeps a filter, which replaces what was found not to be one; not under a key of more than 256 KiB:
    /// profiles have a few.
    ///
    /// # Errors
    ///
    /// The directory is not to be trusted, or the file cannot be written.
    pub fn keep(&self, key: &CacheKey, program: &BpfProgram) -> Result<(), CacheProblem> {
        if key.0.len() > LONGEST_KEY {
            return Ok(());
        }
        let failure = |error: std::io::Error| CacheProblem::new(&self.directory, "kept", error);
        let directory = match self.open()? {
            Some(directory) => directory,
            None => {
                match DirBuilder::new().mode(0o700).create(&self.directory) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                        return Err(failure(error));
                    }
                    _ => {}
                }
                self.open()?.ok_or_else(|| failure(Errno::NOENT.into()))?
            }
        };
        make_room(&directory).map_err(|errno| failure(errno.into()))?;
        let (name, file) = create(&directory).map_err(|errno| failure(errno.into()))?;
        match key.write(file, program).and_then(|()| {
            renameat(&directory, &name, &directory, key.name()).map_err(std::io::Error::from)
        }) {
            // Another process has made room meanwhile.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                // The reason is why it could not be written.
                unlinkat(&directory, &name, AtFlags::empty()).unwrap_or_default();
                Err(failure(error))
            }
            _ => Ok(()),
        }
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

/// What a filter was compiled from, and by whom.
///
/// Another version of this crate, or another program, has other keys for the same filters.
#[derive(Debug)]
pub struct CacheKey(Vec<u8>);

impl Extend<u8> for CacheKey {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}

/// What a power cut leaves of a file may have holes, and to the kernel those are instructions, too.
type Checksum = [u8; 8];

impl CacheKey {
    /// The key of what is compiled from nothing yet: [`extend`](Extend::extend) it by all that the filter depends
    /// on, in any form. Nothing, if there is no procfs, which tells who compiles.
    pub fn new() -> Option<Self> {
        let program = std::fs::metadata("/proc/self/exe").ok()?;
        // Packages set the time of modification of their files, but nobody that of the change.
        let times = [program.mtime(), program.mtime_nsec(), program.ctime(), program.ctime_nsec()];
        let file = [program.dev(), program.ino(), program.size()];
        let mut bytes = Vec::with_capacity(USUAL_KEY);
        bytes.extend_from_slice(times.map(i64::to_ne_bytes).as_flattened());
        bytes.extend_from_slice(file.map(u64::to_ne_bytes).as_flattened());
        bytes.extend_from_slice(COMPILER.as_bytes());
        Some(Self(bytes))
    }

    /// What an entry begins with.
    fn length(&self) -> [u8; 8] {
        (self.0.len() as u64).to_ne_bytes()
    }

    /// Writes an entry: the key with its length, the checksum of the program, and the program.
    fn write(&self, mut file: File, program: &BpfProgram) -> std::io::Result<()> {
        let program = program.as_bytes();
        file.write_all(&[&self.length(), &*self.0, &checksum(program), program].concat())
    }

    /// The program in an entry; nothing if that is another profile's, or damaged.
    fn program_in(&self, entry: &[u8]) -> Option<BpfProgram> {
        let (length, rest) = entry.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(self.0.len())?;
        let (sum, program) = rest.split_first_chunk()?;
        let is_whole = *length == self.length() && self.is(key) && *sum == checksum(program);
        BpfProgram::from_bytes(program).ok().filter(|_| is_whole)
    }

    /// Is it this one? Eight bytes at a time, as libraries' memcmp(3) are not all that quick.
    fn is(&self, found: &[u8]) -> bool {
        let (words, rest) = self.0.as_chunks::<8>();
        let (found_words, found_rest) = found.as_chunks();
        let number = |word: &[u8; 8]| u64::from_ne_bytes(*word);
        words.iter().map(number).eq(found_words.iter().map(number)) && rest == found_rest
    }

    fn name(&self) -> String {
        format!("{:016x}", hash(&self.0))
    }
}

fn checksum(program: &[u8]) -> Checksum {
    hash(program).to_ne_bytes()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// A new file, to be renamed.
fn create(directory: &OwnedFd) -> Result<(String, File), Errno> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("new-{}-{number}", getpid().as_raw_nonzero());
        match openat(directory, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok((name, file.into())),
            // Of a process with this number in another pid namespace, or before.
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
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
            // Another process makes room, too; and directories are not ours.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
