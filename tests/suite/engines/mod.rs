//! Engines from Debian that call the command in the place of runc, seen as their users see them.
//!
//! All that an engine keeps is in the test's directory, and its cgroups are in one with the test's name.

mod buildah;
mod client;
mod containerd;
mod docker;
mod podman;
mod rootless;
mod scenarios;

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use coracle_testkit::{Background, Cmd, Context, Result, Suite, TerminalSession, eventually};
use rustix::process::Signal;
use serde_json::json;

pub fn add_to(suite: Suite) -> Suite {
    let suite = suite.group("engines::containerd", containerd::TESTS);
    let suite = suite.group("engines::docker", docker::TESTS);
    let suite = suite.group("engines::podman", podman::TESTS);
    let suite = suite.group("engines::buildah", buildah::TESTS);
    suite.group("engines::rootless", rootless::TESTS)
}

/// The image that all engines get.
const IMAGE: &str = "localhost/box:latest";

/// A service that ends in its own way.
const SERVICE: &str = "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done";

/// The tests' root file system as an image, in the form of `docker save`, which all engines read.
fn image(t: &Context) -> Result<PathBuf> {
    let directory = t.path("image");
    fs::create_dir(&directory)?;
    archive(&t.bundle()?.rootfs(), &directory.join("layer.tar"), &["."])?;
    let sum = Cmd::new("sha256sum").arg(directory.join("layer.tar")).succeed()?;
    let (sum, _) = sum.text().split_once(' ').context("a checksum")?;
    let config = json!({
        "architecture": match ARCH { "x86_64" => "amd64", "aarch64" => "arm64", other => other },
        "os": "linux",
        "config": {"Env": ["PATH=/bin", "FROM=image"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{sum}")]},
        "history": [{"created_by": "the tests"}],
    });
    fs::write(directory.join("config.json"), config.to_string())?;
    let manifest = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    fs::write(directory.join("manifest.json"), manifest.to_string())?;
    let image = t.path("image.tar");
    archive(&directory, &image, &["manifest.json", "config.json", "layer.tar"])?;
    Ok(image)
}

/// Where an engine without a daemon keeps its files.
fn home(t: &Context) -> PathBuf {
    t.path("home")
}

fn archive(directory: &Path, file: &Path, members: &[&str]) -> Result<()> {
    let tar = Cmd::new("tar").arg("--create").arg("--file").arg(file);
    tar.arg("--directory").arg(directory).args(members).succeed().map(drop)
}

/// Starts a daemon and waits until it answers.
fn start_daemon(command: Cmd, answers: impl Fn() -> Cmd) -> Result<Background> {
    let daemon = command.spawn()?;
    let ready = eventually("the daemon", || {
        if !daemon.runs()? {
            return Ok(Some(false));
        }
        Ok((answers().run()?.code() == 0).then_some(true))
    });
    match ready {
        Ok(true) => Ok(daemon),
        _ => anyhow::bail!("the daemon does not start: {}", daemon.stderr()?),
    }
}

fn stop_daemon(daemon: Background) -> Result<()> {
    daemon.signal(Signal::TERM)?;
    daemon.wait()?.expect(0).map(drop)
}

/// Has somebody at a terminal use a container's, and change its size; the command runs a shell there.
fn uses_terminal(command: Cmd) -> Result<()> {
    let resized =
        "until [ \"$(stty size)\" = '30 100' ]; do sleep 0.05; done; echo resized; exit 3";
    let mut session = types_at(command, resized)?;
    session.resize(30, 100)?;
    session.wait_for("resized")?;
    session.finish()?.0.expect(3).map(drop)
}

/// Has somebody at a terminal type at a container's, where a script goes on then.
fn types_at(command: Cmd, script: &str) -> Result<TerminalSession> {
    let script = format!(
        "tty; until [ \"$(stty size)\" = '24 80' ]; do sleep 0.05; done; echo sized
        read line; echo \"got $line\"; {script}"
    );
    let mut session = TerminalSession::start(command.args(["sh", "-c", &script]), 24, 80)?;
    session.wait_for("/dev/pts/0")?;
    session.wait_for("sized")?;
    session.send("hello\n")?;
    session.wait_for("got hello")?;
    Ok(session)
}

/// Removes what engines keep when no container is left: the cgroup of the test, which must be empty, and
/// files of theirs in directories that only the tests have.
pub(crate) fn forget(t: &Context, cgroup: &str) -> Result<()> {
    for hierarchy in t.host().hierarchies() {
        let directory = hierarchy.join(cgroup);
        for directory in [directory.join("conmon"), directory] {
            if directory.exists() {
                eventually("an empty cgroup", || Ok(fs::remove_dir(&directory).ok()))?;
            }
        }
    }
    for directory in ["/dev/shm", "/run"] {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path))?;
        }
    }
    Ok(())
}

/// Waits until no process with such a name runs: some engines clean up after their containers later.
pub(crate) fn wait_for_end_of(names: &[&str]) -> Result<()> {
    eventually("the engine's end", || {
        let processes = fs::read_dir("/proc")?.flatten();
        let mut running =
            processes.filter_map(|it| fs::read_to_string(it.path().join("comm")).ok());
        Ok((!running.any(|name| names.contains(&name.trim()))).then_some(()))
    })
}
