//! Finding and executing a program.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use coracle_sys::SyscallError;
use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;

use crate::{Error, Result, env};

/// A program ready to be executed: all memory it needs is there.
#[derive(Debug)]
pub struct Program {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// The file at `path` with these arguments (the first is the program's name) and this environment.
    pub fn new(path: &Path, args: &[String], env: &[String]) -> Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Error::Nul(path.display().to_string()))?;
        Ok(Self { path, args: terminated(args)?, env: terminated(env)? })
    }

    /// Replaces the calling program; returns only the failure.
    pub fn exec(&self) -> Error {
        let source = coracle_sys::exec::execve(&self.path, &self.args, &self.env);
        Error::NotExecutable { path: self.path.to_string_lossy().into_owned(), source }
    }
}

fn terminated(strings: &[String]) -> Result<Vec<CString>> {
    let terminate =
        |text: &String| CString::new(text.as_str()).map_err(|_| Error::Nul(text.clone()));
    strings.iter().map(terminate).collect()
}

/// Where the program `name` is, as execvp(3) would find it with the `PATH` of `env`.
///
/// A name with a slash is taken as it is. A file that the caller may not execute is passed over, and
/// named in the error when no other is found.
pub fn find_executable(name: &str, env: &[String]) -> Result<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return match check(&path) {
            Ok(()) => Ok(path),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(no_such_file(name)),
            Err(errno) => Err(not_executable(&path, errno)),
        };
    }
    let mut denied = None;
    let search = env::value(env, "PATH")
        .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for directory in search.split(':') {
        let path = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(Errno::ACCESS | Errno::ISDIR) => {
                denied.get_or_insert(path);
            }
            Err(_) => {}
        }
    }
    match denied {
        Some(path) => Err(not_executable(&path, Errno::ACCESS)),
        None => Err(Error::NotFound(name.to_owned())),
    }
}

fn check(path: &Path) -> Result<(), Errno> {
    if FileType::from_raw_mode(stat(path)?.st_mode).is_dir() {
        return Err(Errno::ISDIR);
    }
    // With the effective ids, as execve will.
    match accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Err(Errno::NOSYS) => accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()),
        other => other,
    }
}

fn no_such_file(name: &str) -> Error {
    let source = SyscallError::new("stat", format!("{name:?}"), Errno::NOENT);
    Error::NotExecutable { path: name.to_owned(), source }
}

fn not_executable(path: &Path, errno: Errno) -> Error {
    let path = path.display().to_string();
    let source = SyscallError::new("access", format!("{path:?}, X_OK"), errno);
    Error::NotExecutable { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_the_given_path() {
        let env = ["PATH=/nowhere:/bin".to_owned()];
        assert_eq!(find_executable("sh", &env).unwrap(), Path::new("/bin/sh"));
        assert_eq!(find_executable("/bin/sh", &[]).unwrap(), Path::new("/bin/sh"));
        let missing = find_executable("no-such-program", &env).unwrap_err().to_string();
        assert!(missing.contains("executable file not found in $PATH"), "{missing}");
        assert!(find_executable("/etc/passwd", &env).is_err());
        assert!(find_executable("/etc", &env).is_err());
    }
}
