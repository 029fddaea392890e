//! Building what the other commands run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{host, workspace};

/// Builds the `coracle` command as it is shipped: static and optimized. Returns where it is.
pub fn coracle() -> anyhow::Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let args = ["build", "--release", "--package", "coracle-cli", "--target", &target];
    host::run(Command::new("cargo").args(args).current_dir(workspace::root()))?;
    let built = target_directory()?.join(target).join("release/coracle");
    ensure!(built.is_file(), "{} was not built", built.display());
    Ok(built)
}

/// Builds the tests that `select` (flags of `cargo test`) selects, without running them, and returns their programs.
pub fn tests(select: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics"]).args(select);
    let messages = host::stdout(cargo.current_dir(workspace::root()))?;
    let executables = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    Ok(executables.collect())
}

/// Where cargo puts what it builds.
pub fn target_directory() -> anyhow::Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => std::path::absolute(Path::new(&directory)).context("CARGO_TARGET_DIR"),
        None => Ok(workspace::root().join("target")),
    }
}
