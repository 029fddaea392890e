//! Downloads the package of a kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::super::options::Kernel;
use crate::{apt, host};

/// Depends on the newest kernel of a release. Not the cloud kernel, which lacks 9p.
const METAPACKAGE: &str = "linux-image-amd64";

/// Independent of the machine: its own package lists need not have the kernel.
const OPTIONS: [&str; 4] = [
    "APT::Architecture=amd64",
    "APT::Sandbox::User=root",
    "Dir::Etc::SourceParts=-",
    "Dir::State::status=/dev/null",
];

/// Downloads into `work`, and returns the file.
pub fn download(work: &Path, kernel: Kernel) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(work.join("lists/partial"))?;
    fs::create_dir_all(work.join("cache/archives/partial"))?;
    let sources = match kernel {
        Kernel::V5_10 => apt::oldest()?,
        Kernel::V6_1 => apt::guest()?,
        Kernel::V6_12 => vec![apt::backports()?],
    };
    fs::write(work.join("sources.list"), sources.join("\n") + "\n")?;

    host::run(command("apt-get", work).arg("update"))?;
    let query = ["depends", "--important", METAPACKAGE];
    let depends = host::stdout(command("apt-cache", work).args(query))?;
    let name = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let name = name.context("the package sources have no kernel")?;
    host::run(command("apt-get", work).args(["download", name]))?;

    fs::read_dir(work)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded nothing")
}

/// A command of apt that works in `work`.
fn command(program: &str, work: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(work).env("LC_ALL", "C");
    for option in OPTIONS {
        command.args(["--option", option]);
    }
    for (option, path) in
        [("Etc::SourceList", "sources.list"), ("State::Lists", "lists"), ("Cache", "cache")]
    {
        command.arg(format!("--option=Dir::{option}={}", work.join(path).display()));
    }
    command
}
