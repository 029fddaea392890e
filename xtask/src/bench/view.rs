//! Where is measured: in which mount namespace, in which machine.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

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

/// Measures on this host: all programs, and on a hybrid host then coracle alone as it is.
pub fn host(options: &Options) -> anyhow::Result<Vec<(View, Samples)>> {
    ensure!(rustix::process::geteuid().is_root(), "measuring containers needs root");
    packages::ensure(packages::TESTS)?;
    let staging = tempfile::tempdir()?;
    let programs = Programs::build()?.copy(staging.path(), &[])?;
    let mut views = Vec::new();
    let all = if facts::is_hybrid() { View::WithoutUnified } else { View::Whole };
    views.push((all, measure(all, options, &options.peers, &programs, staging.path())?));
    if all == View::WithoutUnified {
        eprintln!("xtask: measuring coracle alone, with {UNIFIED}");
        let samples = measure(View::Whole, options, &[], &programs, staging.path())?;
        views.push((View::Whole, samples));
    }
    Ok(views)
}

/// Calls this program again, in the mount namespace of the view.
fn measure(
    view: View,
    options: &Options,
    peers: &[String],
    programs: &Programs,
    staging: &Path,
) -> anyhow::Result<Samples> {
    let own = std::env::current_exe()?;
    let file = staging.join("samples");
    let mut command = match view {
        View::Whole => Command::new(own),
        View::WithoutUnified => {
            let mut command = Command::new("unshare");
            // crun makes directories there even if it is none of cgroups: they go with the namespace.
            let script =
                format!("umount {UNIFIED} && mount -t tmpfs tmpfs {UNIFIED} && exec \"$0\" \"$@\"");
            command.args(["--mount", "sh", "-c", &script]).arg(own);
            command
        }
    };
    let status = command.args(raw(options, peers, programs, &file)).status();
    let status = status.context("cannot run unshare")?;
    ensure!(status.success(), "measuring failed with {status}");
    read(&file)
}

/// The arguments with which this program only measures.
fn raw(options: &Options, peers: &[String], programs: &Programs, file: &Path) -> Vec<OsString> {
    let (rounds, peers) = (options.rounds.to_string(), peers.join(","));
    let mut args: Vec<OsString> =
        ["bench", "--rounds", &rounds, "--peers", &peers, "--raw"].map(Into::into).into();
    args.extend([file.into(), "--programs".into(), programs.path("").into()]);
    args
}

fn read(file: &Path) -> anyhow::Result<Samples> {
    let bytes = fs::read(file).context("the measuring process has written no samples")?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Measures in the emulated machine.
pub fn guest(options: &Options) -> anyhow::Result<Vec<(View, Samples)>> {
    packages::ensure(packages::GUEST)?;
    let staging = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let programs = Programs::build()?.copy(staging.path(), std::slice::from_ref(&own))?;
    let file = staging.path().join("samples");
    let mut command = Command::new(&own);
    command.args(["guest", "--timeout", GUEST_DEADLINE, "--share"]).arg(staging.path());
    command.arg("--").arg(programs.path(own.file_name().context("this program has no name")?));
    let status = command.args(raw(options, &options.peers, &programs, &file)).status()?;
    ensure!(status.success(), "measuring in the guest failed with {status}");
    Ok(vec![(View::Whole, read(&file)?)])
}
