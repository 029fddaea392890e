//! The configuration to start from: what `coracle spec` writes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coracle_sys::SyscallError;

use crate::{Error, LoadedSpec, Result, Spec};

/// A shell on a terminal, in all namespaces, with few capabilities.
const DEFAULT: &str = include_str!("default.json");
/// The same for a caller without privileges; `"UID"` and `"GID"` stand for the caller's.
const ROOTLESS: &str = include_str!("rootless.json");

/// The configuration to start from, as text: tabs, the keys in the order of the specification, a
/// newline at the end.
///
/// It is the document that runc writes. With `rootless`, the user and group ID of a caller without
/// privileges, that ID becomes root of a user namespace, the host's network and `/sys` are shared, and
/// nothing is asked of cgroups.
pub fn default_document(rootless: Option<(u32, u32)>) -> String {
    match rootless {
        None => DEFAULT.to_owned(),
        Some((uid, gid)) => {
            ROOTLESS.replace("\"UID\"", &uid.to_string()).replace("\"GID\"", &gid.to_string())
        }
    }
}

/// The configuration to start from, typed; see [`default_document`].
///
/// # Errors
///
/// [`Error::Invalid`] for an ID that cannot be mapped (4294967295); none otherwise.
pub fn default_spec(rootless: Option<(u32, u32)>) -> Result<Spec> {
    LoadedSpec::from_slice(default_document(rootless).as_bytes()).map(|loaded| loaded.spec)
}

/// Writes [`default_document`] to `config.json` in `dir` and returns its path. A file that is there
/// already is left alone; a new one that cannot be written whole is removed.
///
/// # Errors
///
/// [`Error::ConfigExists`] or [`Error::WriteConfig`].
pub fn write_default(dir: impl AsRef<Path>, rootless: Option<(u32, u32)>) -> Result<PathBuf> {
    let path = dir.as_ref().join("config.json");
    let fail = |call: &'static str, error: &io::Error| Error::WriteConfig {
        path: path.clone(),
        source: SyscallError::from_io(call, path.display().to_string(), error),
    };

    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::ConfigExists { path });
        }
        Err(error) => return Err(fail("open", &error)),
    };
    if let Err(error) = file.write_all(default_document(rootless).as_bytes()) {
        fs::remove_file(&path).map_err(|error| fail("unlink", &error))?;
        return Err(fail("write", &error));
    }
    Ok(path)
}
