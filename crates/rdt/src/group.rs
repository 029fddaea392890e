//! A class of service, or a monitoring group in one.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use coracle_sys::{Errno, SyscallError};
use rustix::fs::{CWD, Mode, mkdirat};

use crate::schemata::difference;
use crate::{Error, Result};

/// A directory of the resctrl file system: a class of service, or a monitoring group in one.
///
/// A new process is in the group of the one that forked it. That a value is only known by its path means
/// that a `Group` can be made before the directory, and used by whoever finds the path recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    root: PathBuf,
    path: PathBuf,
}

impl Group {
    /// The group at `path` of the file system mounted at `root`.
    pub fn new(root: impl Into<PathBuf>, path: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), path: path.into() }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// The monitoring group `name` in this class of service.
    pub fn monitoring(&self, name: &str) -> Self {
        Self::new(&self.root, self.path.join("mon_groups").join(name))
    }

    /// Makes it, if it is not there: with all that the root has. How many there can be is limited by the
    /// processor (`ENOSPC`).
    pub fn create(&self) -> Result<()> {
        match mkdirat(CWD, &self.path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(self.refused("mkdir", &self.path, errno)),
        }
    }

    /// Gives it shares, as lines of the file `schemata`: `L3:0=7f0;1=1f`. What no line names stays.
    pub fn set(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        let text: String = lines.iter().map(|line| format!("{}\n", line.as_ref())).collect();
        self.write("schemata", &text)
    }

    /// Whether it has these shares, which may be fewer than all.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] names the first line that is not so.
    pub fn expect(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        let schemata = self.read("schemata")?;
        match difference(lines.iter().map(AsRef::as_ref), &schemata) {
            None => Ok(()),
            Some((asked, found)) => Err(Error::Differs {
                path: self.path.clone(),
                asked: asked.to_owned(),
                found: found.to_owned(),
            }),
        }
    }

    /// Moves the task `pid` into it: one thread, by which processes and threads that it makes later are in it,
    /// too. Into a monitoring group only what is in its class of service goes.
    pub fn add(&self, pid: u32) -> Result<()> {
        self.write("tasks", &pid.to_string())
    }

    /// Removes it, if it is there. Its processes go back to the root, or to its class of service.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(self.failed("rmdir", &self.path, &error))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn read(&self, file: &str) -> Result<String> {
        let path = self.path.join(file);
        fs::read_to_string(&path).map_err(|error| self.failed("read", &path, &error))
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.path.join(file);
        let opened = fs::File::options().write(true).create(true).truncate(true).open(&path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.failed("open", &path, &error),
            _ => self.failed(format!("write {:?}", text.trim_end()), &path, &error),
        })
    }

    fn failed(
        &self,
        call: impl Into<std::borrow::Cow<'static, str>>,
        path: &Path,
        error: &std::io::Error,
    ) -> Error {
        let source = SyscallError::from_io(call, path.to_string_lossy(), error);
        Error::File { source, status: self.status() }
    }

    fn refused(&self, call: &'static str, path: &Path, errno: Errno) -> Error {
        let source = SyscallError::new(call, path.to_string_lossy(), errno);
        Error::File { source, status: self.status() }
    }

    /// What the kernel says about the last failure.
    fn status(&self) -> Option<String> {
        let status = fs::read_to_string(self.root.join("info/last_cmd_status")).ok()?;
        let status = status.trim();
        (!status.is_empty() && status != "ok").then(|| status.to_owned())
    }
}
