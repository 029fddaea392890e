//! Where is measured: in which mount namespace, in which machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::facts;
use super::options::Options;
use super::programs::Programs;
use super::samples::Samples;
use crate::packages;

/// Where hybrid hosts have cgroup v2.
pub const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// In seconds: emulated, a container can take one.
const GUEST_DEADLINE: &str = "10800";

/// What the containers' host looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As it is.
    Whole,
    /// A hybrid one without its v2 mount, as if it had only v1.
    WithoutUnified,
}

impl View {
    /// What is done in the new mount namespace; `$0` is where the runtimes keep their state.
    fn script(self) -> String {
        // In memory, as /run is on most hosts.
        let state = "mount -t tmpfs tmpfs \"$0\"";
        match self {
            Self::Whole => format!("{state} && exec \"$@\""),
            // crun makes directories there even if it is none of cgroups: they go with the namespace.
            Self::WithoutUnified => format!(
                "{state} && umount {UNIFIED} && mount -t tmpfs tmpfs {UNIFIED} && exec \"$@\""
            ),
        }
    }
}

/// Measures on this host: all programs, and on a hybrid host then coracle alone as it is.
pub fn host(options: &Options) -> anyhow::Result<Vec<(View, Samples)>> {
    ensure!(rustix::process::geteuid().is_root(), "measuring containers needs root");
    packages::ensure(packages::TESTS)?;
    let staging = Staging::new(options)?;
    let measure = |view: View, peers: &[String]| {
        let words = staging.command(view, options, peers);
        let status = Command::new(&words[0]).args(&words[1..]).status();
        let status = status.context("cannot run unshare")?;
        ensure!(status.success(), "measuring failed with {status}");
        Ok((view, staging.samples()?))
    };
    if !facts::is_hybrid() {
        return Ok(vec![measure(View::Whole, &options.peers)?]);
    }
    let all = measure(View::WithoutUnified, &options.peers)?;
    eprintln!("xtask: measuring coracle alone, with {UNIFIED}");
    Ok(vec![all, measure(View::Whole, &[])?])
}

/// Measures in the emulated machine.
pub fn guest(options: &Options) -> anyhow::Result<Vec<(View, Samples)>> {
    packages::ensure(packages::GUEST)?;
    let staging = Staging::new(options)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["guest", "--timeout", GUEST_DEADLINE, "--share"]).arg(staging.path());
    command.arg("--").args(staging.command(View::Whole, options, &options.peers));
    let status = command.status()?;
    ensure!(status.success(), "measuring in the guest failed with {status}");
    Ok(vec![(View::Whole, staging.samples()?)])
}

/// A directory with the programs, this one among them, which gets the samples.
struct Staging {
    directory: TempDir,
    own: PathBuf,
}

impl Staging {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let own = std::env::current_exe()?;
        Programs::of(options)?.copy(directory.path(), std::slice::from_ref(&own))?;
        let own = directory.path().join(own.file_name().context("this program has no name")?);
        fs::create_dir(state_directory(directory.path()))?;
        Ok(Self { directory, own })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Calls this program again, in the mount namespace of the view, to measure only.
    fn command(&self, view: View, options: &Options, peers: &[String]) -> Vec<OsString> {
        let mut words: Vec<OsString> = ["unshare", "--mount", "sh", "-c"].map(Into::into).into();
        words.extend([view.script().into(), state_directory(self.path()).into()]);
        words.push(self.own.clone().into());
        let (rounds, peers) = (options.rounds.to_string(), peers.join(","));
        words.extend(["bench", "--rounds", &rounds, "--peers", &peers, "--raw"].map(Into::into));
        words.push(self.path().into());
        words
    }

    fn samples(&self) -> anyhow::Result<Samples> {
        let bytes = fs::read(samples_file(self.path()));
        Ok(serde_json::from_slice(&bytes.context("the measuring process has written no samples")?)?)
    }
}

/// For what the runtimes know of their containers.
pub fn state_directory(staging: &Path) -> PathBuf {
    staging.join("state")
}

pub fn samples_file(staging: &Path) -> PathBuf {
    staging.join("samples")
}
