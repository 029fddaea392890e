//! A bundle: a directory with a configuration in it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use coracle_sys::{Errno, SyscallError};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use crate::{Error, LoadedSpec, Result};

/// The largest configuration that is read, in bytes: 16 MiB, a thousand times the usual.
pub const CONFIG_SIZE_LIMIT: u64 = 16 << 20;

/// A directory that describes a container: a configuration and, usually, a root filesystem.
///
/// See <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/bundle.md>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    dir: PathBuf,
    config: PathBuf,
}

impl Bundle {
    /// Finds the bundle at `dir`, which may be relative to the working directory.
    ///
    /// # Errors
    ///
    /// [`Error::OpenBundle`] if `dir` is missing, no directory or out of reach.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let given = dir.as_ref();
        let fail = |source| Error::OpenBundle { dir: given.to_owned(), source };

        open_at(given, OFlags::PATH | OFlags::DIRECTORY).map_err(fail)?;
        let dir = given.canonicalize().map_err(|error| {
            fail(SyscallError::from_io("realpath", given.display().to_string(), &error))
        })?;
        let config = dir.join("config.json");
        Ok(Self { dir, config })
    }

    /// Takes the configuration from `file` instead of the bundle's `config.json`. A relative `file` is
    /// relative to the bundle; make it absolute first if it came from a command line.
    #[must_use]
    pub fn with_config(mut self, file: impl AsRef<Path>) -> Self {
        self.config = self.dir.join(file);
        self
    }

    /// The bundle's absolute path, free of symlinks.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The absolute path of the configuration.
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// Reads, checks and types the configuration.
    ///
    /// # Errors
    ///
    /// [`Error::NoConfig`], [`Error::ReadConfig`], [`Error::NotAFile`] or [`Error::TooLarge`] if it
    /// cannot be read; [`Error::NotJson`] with line and column; [`Error::Invalid`] with every problem
    /// of the document.
    pub fn load(&self) -> Result<LoadedSpec> {
        LoadedSpec::parse(&self.read()?, &self.config)
    }

    /// Reads the configuration, as it is.
    ///
    /// # Errors
    ///
    /// Those of [`Bundle::load`] for a configuration that cannot be read.
    pub fn read(&self) -> Result<Vec<u8>> {
        read_document(&self.config)
    }
}

/// The content of the document at `path`, a regular file of at most [`CONFIG_SIZE_LIMIT`].
///
/// # Errors
///
/// As of [`Bundle::read`].
pub fn read_document(path: &Path) -> Result<Vec<u8>> {
    let fail = |source| Error::ReadConfig { path: path.to_owned(), source };
    // Without NONBLOCK the open of a pipe would wait for its writer.
    let file =
        open_at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(|source| {
            match source.errno() {
                Errno::NOENT => Error::NoConfig { path: path.to_owned() },
                _ => fail(source),
            }
        })?;

    let stat = fstat(&file)
        .map_err(|errno| fail(SyscallError::new("fstat", path.display().to_string(), errno)))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::NotAFile { path: path.to_owned() });
    }

    // The stated size is only a guess of what to reserve: the file may grow, or be on procfs.
    let size = u64::try_from(stat.st_size).unwrap_or(0).min(CONFIG_SIZE_LIMIT);
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(CONFIG_SIZE_LIMIT + 1)
        .read_to_end(&mut content)
        .map_err(|error| fail(SyscallError::from_io("read", path.display().to_string(), &error)))?;
    if content.len() as u64 > CONFIG_SIZE_LIMIT {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    Ok(content)
}

fn open_at(path: &Path, flags: OFlags) -> Result<File, SyscallError> {
    open(path, flags | OFlags::CLOEXEC, Mode::empty())
        .map(File::from)
        .map_err(|errno| SyscallError::new("open", path.display().to_string(), errno))
}
