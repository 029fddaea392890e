//! The programs to be measured.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::Context;

use super::options::Options;
use crate::{build, host, setup, workspace};

/// What is built here.
const BUILT: [&str; 3] = ["coracle", "floor", "peak"];

/// A directory with the programs that are built here.
#[derive(Debug)]
pub struct Programs {
    directory: PathBuf,
}

/// A runtime with the command line of runc, or the program `floor`.
#[derive(Debug)]
pub struct Program {
    pub name: String,
    pub path: PathBuf,
}

impl Programs {
    /// What the options name, or else what is built now.
    pub fn of(options: &Options) -> anyhow::Result<Self> {
        options.programs.as_deref().map(Self::in_directory).map_or_else(Self::build, Ok)
    }

    /// Builds them, static and optimized.
    fn build() -> anyhow::Result<Self> {
        setup::add_rust_target()?;
        eprintln!("xtask: building, which takes some minutes at first");
        let coracle = build::coracle()?;
        let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--package", "coracle-benches", "--target", &target]);
        host::run(cargo.args(["--bin", "floor", "--bin", "peak"]).current_dir(workspace::root()))?;
        Ok(Self { directory: coracle.with_file_name("") })
    }

    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Copies them, and whatever else is to be where they will be.
    pub fn copy(&self, to: &Path, more: &[PathBuf]) -> anyhow::Result<Self> {
        let built = BUILT.map(|name| self.path(name));
        for path in built.iter().chain(more) {
            let name = path.file_name().context("a program without a name")?;
            fs::copy(path, to.join(name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
        Ok(Self { directory: to.to_owned() })
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    pub fn get(&self, name: &str) -> Program {
        Program { name: name.to_owned(), path: self.path(name) }
    }
}

/// Where the host has the program.
pub fn installed(name: &str) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian has runc where only root looks.
    let directories = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut candidates = directories.map(|directory| directory.join(name));
    candidates
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not installed; --peers says what to measure"))
}
