//! The command under test.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{Cmd, Result};

/// Whose command it is, where that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Ours.
    Coracle,
    /// crun.
    Crun,
    /// runc.
    Runc,
    /// Any other.
    Other,
}

/// A runtime with the command line that runc made usual.
#[derive(Debug, Clone)]
pub struct Runtime {
    path: PathBuf,
    flavour: Flavour,
}

impl Runtime {
    /// What the environment names, or the newest that is built.
    pub fn find() -> Result<Self> {
        if let Some(path) = env::var_os("CORACLE_TEST_RUNTIME") {
            return Ok(Self::at(PathBuf::from(path)));
        }
        if let Some(path) = env::var_os("CORACLE_BIN") {
            return Ok(Self { path: PathBuf::from(path), flavour: Flavour::Coracle });
        }
        Ok(Self { path: newest_built()?, flavour: Flavour::Coracle })
    }

    /// Another runtime, from the search path: `crun` or `runc`.
    pub fn other(name: &str) -> Option<Self> {
        find_program(name).map(Self::at)
    }

    fn at(path: PathBuf) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let flavour = match name.as_ref() {
            "coracle" => Flavour::Coracle,
            "crun" => Flavour::Crun,
            "runc" => Flavour::Runc,
            _ => Flavour::Other,
        };
        Self { flavour, path }
    }

    /// A copy at `path`, which nobody rebuilds meanwhile and every user can execute.
    pub(crate) fn copied_to(&self, path: PathBuf) -> Result<Self> {
        fs::copy(&self.path, &path)
            .with_context(|| format!("cannot copy {}", self.path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { path, flavour: self.flavour })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Its command with nothing else.
    pub fn command(&self) -> Cmd {
        Cmd::new(&self.path)
    }

    /// What its `spec` writes, in the empty directory `scratch`, which is empty again then.
    pub(crate) fn spec(&self, scratch: &Path, flags: &[&str]) -> Result<Value> {
        self.command().arg("spec").args(flags).directory(scratch).succeed()?;
        let path = scratch.join("config.json");
        let spec = serde_json::from_slice(&fs::read(&path)?)?;
        fs::remove_file(path)?;
        Ok(spec)
    }
}

/// A program of the search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The newest `coracle` below `target`, of the workspace that this was built in or of the current one.
fn newest_built() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| here.join("target"), PathBuf::from);
    let mut folders = vec![target.clone()];
    let entries = fs::read_dir(&target).into_iter().flatten().flatten();
    folders.extend(entries.map(|entry| entry.path()).filter(|path| is_musl(path)));
    let built =
        folders.iter().flat_map(|folder| ["release", "debug"].map(|profile| folder.join(profile)));
    let built = built.map(|folder| folder.join("coracle"));
    let dated = built.filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)));
    match dated.max() {
        Some((_, path)) => Ok(path),
        None => bail!(
            "no coracle below {}: `cargo build -p coracle-cli`, or set CORACLE_BIN",
            target.display()
        ),
    }
}

fn is_musl(target: &Path) -> bool {
    target.file_name().is_some_and(|name| name.to_string_lossy().ends_with("-musl"))
}
