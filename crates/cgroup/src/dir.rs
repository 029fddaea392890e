//! The directory of one cgroup and the files in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use coracle_sys::{Errno, SyscallError};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::retry_on_intr;

use crate::journal::Journal;
use crate::{Error, Result};

const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// The directory of one cgroup in one hierarchy, opened when first used.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    fd: OnceLock<OwnedFd>,
    /// The path comes from a file, not from the table of mounts: look before touching it.
    recorded: bool,
    journal: Journal,
}

impl Dir {
    /// A directory below a hierarchy's mount point.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, fd: OnceLock::new(), recorded: false, journal: Journal::default() }
    }

    /// A directory that somebody wrote down: it is refused if it is no cgroup, or the root of a
    /// hierarchy.
    pub(crate) fn recorded(path: PathBuf) -> Self {
        Self { recorded: true, ..Self::new(path) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was in its files, while it is kept.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Its descriptor; [`Error::Gone`] if there is no such directory.
    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd.as_fd());
        }
        let fd = open_dir(CWD, &self.path).map_err(|errno| match errno {
            Errno::NOENT | Errno::NODEV => self.gone(),
            errno => Error::read(SyscallError::new("open", self.path.to_string_lossy(), errno)),
        })?;
        if self.recorded {
            check_cgroup(&fd, &self.path)?;
        }
        Ok(self.fd.get_or_init(|| fd).as_fd())
    }

    /// Whether the directory is there.
    pub(crate) fn exists(&self) -> bool {
        rustix::fs::access(&self.path, rustix::fs::Access::EXISTS).is_ok()
    }

    /// Whether the directory may be touched by its path; not if it is gone.
    pub(crate) fn is_checked(&self) -> Result<bool> {
        if !self.recorded {
            return Ok(true);
        }
        match self.fd() {
            Err(Error::Gone { .. }) => Ok(false),
            fd => fd.map(|_| true),
        }
    }

    pub(crate) fn gone(&self) -> Error {
        Error::Gone { path: self.path.clone() }
    }

    /// Opens one of its files, close-on-exec. If there is none, its controller is missing.
    pub(crate) fn open(&self, file: &str, flags: OFlags) -> Result<OwnedFd> {
        rustix::fs::openat(self.fd()?, file, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| self.open_error(file, flags, errno))
    }

    /// The whole of a file.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        let fd = self.open(file, OFlags::RDONLY)?;
        read_all(&fd).map_err(|errno| self.read_error(file, errno))
    }

    /// The whole of a file, or nothing if the cgroup has no such file.
    pub(crate) fn read_if_there(&self, file: &str) -> Result<Option<String>> {
        match self.read(file) {
            Err(error) if error.is_missing() => Ok(None),
            result => result.map(Some),
        }
    }

    /// A number from a file that holds one.
    pub(crate) fn read_number(&self, file: &str) -> Result<u64> {
        let text = self.read(file)?;
        text.trim().parse().map_err(|_| self.malformed(file, &text, "a number"))
    }

    /// Writes a value with one write(2).
    pub(crate) fn write(&self, file: &str, value: &str) -> Result<()> {
        if self.journal.is_open()
            && let Ok(old) = self.read(file)
        {
            self.journal.note(file, &old, value);
        }
        let fd = self.open(file, OFlags::WRONLY)?;
        self.write_to(&fd, file, value)
    }

    /// As [`Dir::write`], through a descriptor of the file.
    pub(crate) fn write_to(&self, fd: &OwnedFd, file: &str, value: &str) -> Result<()> {
        let written = retry_on_intr(|| rustix::io::write(fd, value.as_bytes()));
        match written {
            Ok(length) if length == value.len() => Ok(()),
            Ok(_) => Err(self.write_error(file, value, Errno::IO)),
            Err(errno) => Err(self.write_error(file, value, errno)),
        }
    }

    pub(crate) fn malformed(&self, file: &str, found: &str, expected: &'static str) -> Error {
        Error::Malformed { path: self.path.join(file), found: found.into(), expected }
    }

    fn open_error(&self, file: &str, flags: OFlags, errno: Errno) -> Error {
        if errno == Errno::NODEV {
            return self.gone();
        }
        let path = self.path.join(file);
        let source = SyscallError::new("openat", path.to_string_lossy(), errno);
        match errno {
            Errno::NOENT if !self.is_cgroup() => self.gone(),
            Errno::NOENT => self.missing(file),
            _ if flags.contains(OFlags::WRONLY) => Error::refused(source, file),
            _ => Error::read(source),
        }
    }

    pub(crate) fn read_error(&self, file: &str, errno: Errno) -> Error {
        match errno {
            Errno::NODEV => self.gone(),
            _ => Error::read(SyscallError::new(
                "read",
                self.path.join(file).to_string_lossy(),
                errno,
            )),
        }
    }

    fn write_error(&self, file: &str, value: &str, errno: Errno) -> Error {
        // Some files say so of a device that is not there.
        if errno == Errno::NODEV && !self.is_cgroup() {
            return self.gone();
        }
        let path = self.path.join(file);
        let args = format!("{}, {value:?}", path.display());
        Error::refused(SyscallError::new("write", args, errno), file)
    }

    fn missing(&self, file: &str) -> Error {
        Error::MissingController {
            controller: file.split('.').next().unwrap_or_default().into(),
            setting: file.into(),
            reason: format!(
                "has no such file in {}: leave it out, or use a kernel that has it, with the \
                 controller enabled for this cgroup",
                self.path.display()
            ),
        }
    }

    /// Whether it has the file that every cgroup has: one that was removed is an empty shell.
    pub(crate) fn is_cgroup(&self) -> bool {
        self.fd().is_ok_and(|fd| {
            let access = rustix::fs::Access::EXISTS;
            rustix::fs::accessat(fd, "cgroup.procs", access, AtFlags::empty()).is_ok()
        })
    }
}

/// Opens a directory for reading, without following a symbolic link at its end.
pub(crate) fn open_dir(at: impl AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// The rest of a file, as text.
pub(crate) fn read_all(fd: &OwnedFd) -> rustix::io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    loop {
        match retry_on_intr(|| rustix::io::read(fd, &mut chunk))? {
            0 => break,
            length => bytes.extend_from_slice(&chunk[..length]),
        }
    }
    String::from_utf8(bytes).map_err(|_| Errno::ILSEQ)
}

/// Refuses what is no cgroup or the root of a hierarchy, whose processes are everybody's.
fn check_cgroup(fd: &OwnedFd, path: &Path) -> Result<()> {
    let failed = |call, errno| Error::read(SyscallError::new(call, path.to_string_lossy(), errno));
    let invalid = |reason| Error::InvalidPath { path: path.to_owned(), reason };
    let kind = rustix::fs::fstatfs(fd).map_err(|errno| failed("fstatfs", errno))?.f_type;
    if !matches!(u64::try_from(kind), Ok(CGROUP_SUPER_MAGIC | CGROUP2_SUPER_MAGIC)) {
        return Err(invalid("is not in a cgroup filesystem"));
    }
    if is_mount_root(fd, "").map_err(|errno| failed("statx", errno))? {
        return Err(invalid("is the root of a cgroup hierarchy"));
    }
    Ok(())
}

/// Whether a directory is where a filesystem is mounted (Linux 5.8).
pub(crate) fn is_mount_root(
    at: impl AsFd,
    path: impl rustix::path::Arg,
) -> rustix::io::Result<bool> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let status = rustix::fs::statx(at, path, flags, StatxFlags::empty())?;
    Ok(status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_and_the_value() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("cgroup.procs"), "").unwrap();
        std::fs::write(temp.path().join("pids.max"), "max\n").unwrap();
        let dir = Dir::new(temp.path().into());

        assert_eq!(dir.read("pids.max").unwrap(), "max\n");
        let error = dir.read_number("pids.max").unwrap_err().to_string();
        assert!(error.contains("pids.max holds \"max\\n\" instead of a number"), "{error}");
        let error = dir.write("memory.max", "1").unwrap_err();
        assert!(error.is_missing());
        let expected = "cannot set memory.max: controller memory has no such file in";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn a_removed_cgroup_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x");
        let dir = Dir::new(path.clone());
        assert!(matches!(dir.fd(), Err(Error::Gone { .. })));
        std::fs::create_dir(&path).unwrap();
        assert!(dir.fd().is_ok());
        std::fs::remove_dir(&path).unwrap();
        assert!(matches!(dir.write("pids.max", "1"), Err(Error::Gone { .. })));
    }

    #[test]
    fn a_recorded_path_must_be_a_cgroup() {
        let temp = tempfile::tempdir().unwrap();
        let error = Dir::recorded(temp.path().into()).fd().unwrap_err();
        assert!(error.to_string().contains("is not in a cgroup filesystem"), "{error}");
    }
}
