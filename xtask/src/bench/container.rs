//! Containers of a runtime, by its command line.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::bundle::Bundle;
use super::programs::Program;

/// A runtime, what it runs, and where it keeps its state.
#[derive(Debug)]
pub struct Runtime<'a> {
    pub program: &'a Program,
    pub bundle: &'a Bundle,
    /// A directory of its own.
    pub state: PathBuf,
}

const ID: &str = "coracle-bench";

impl Runtime<'_> {
    pub fn run(&self) -> anyhow::Result<Duration> {
        timed(self.command("run").arg("--bundle").arg(&self.bundle.path).arg(ID))
    }

    /// Leaves a container that waits for its start, and says how long that took.
    pub fn create(&self) -> anyhow::Result<(Created<'_>, Duration)> {
        let time = timed(&mut self.create_command(&self.program.path))?;
        Ok((self.created()?, time))
    }

    /// The same by `peak`, which says how much memory that took, in KiB.
    pub fn create_for_peak(&self, peak: &Path) -> anyhow::Result<(Created<'_>, f64)> {
        let mut command = self.create_command(peak);
        let output = command.stderr(Stdio::null()).output()?;
        ensure!(output.status.success(), "{command:?} failed with {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        Ok((self.created()?, text.trim().parse()?))
    }

    fn create_command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if program != self.program.path {
            command.arg(&self.program.path);
        }
        command.arg("--root").arg(&self.state).args(["create", "--bundle"]);
        command.arg(&self.bundle.path).arg("--pid-file").arg(self.pid_file()).arg(ID);
        command
    }

    fn created(&self) -> anyhow::Result<Created<'_>> {
        let mut created = Created { runtime: self, pid: None };
        let text = fs::read_to_string(self.pid_file())?;
        created.pid = Some(text.trim().parse().ok().and_then(Pid::from_raw).context("no pid")?);
        Ok(created)
    }

    fn pid_file(&self) -> PathBuf {
        self.state.with_extension("pid")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program.path);
        command.arg("--root").arg(&self.state).arg(name);
        command
    }
}

/// A container, forcibly deleted when dropped.
#[derive(Debug)]
pub struct Created<'a> {
    runtime: &'a Runtime<'a>,
    pid: Option<Pid>,
}

impl Created<'_> {
    pub fn state(&self) -> anyhow::Result<Duration> {
        timed(self.runtime.command("state").arg(ID))
    }

    /// Runs another program in it.
    pub fn exec(&self) -> anyhow::Result<Duration> {
        timed(self.runtime.command("exec").args([ID, "/bin/true"]))
    }

    /// A field of the first process's memory map, in KiB.
    pub fn memory(&self, field: &str) -> anyhow::Result<f64> {
        let pid = self.pid.context("the container has ended")?;
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero()))?;
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value = value.and_then(|value| value.trim().strip_suffix(" kB"));
        value.and_then(|kib| kib.parse().ok()).with_context(|| format!("there is no {field}"))
    }

    /// Starts it, waits for its end and deletes it. How long starting and deleting took.
    pub fn finish(mut self) -> anyhow::Result<[Duration; 2]> {
        let pid = self.pid.context("the container has ended")?;
        // The runtime has gone, and we are the reaper of what it left: the number is still this process.
        let init = pidfd_open(pid, PidfdFlags::empty())?;
        let start = timed(self.runtime.command("start").arg(ID))?;
        let status = waitid(WaitId::PidFd(init.as_fd()), WaitIdOptions::EXITED)?;
        let status = status.context("the container goes on")?;
        ensure!(status.exit_status() == Some(0), "the container failed: {status:?}");
        self.pid = None;
        let delete = timed(self.runtime.command("delete").arg(ID))?;
        std::mem::forget(self);
        Ok([start, delete])
    }
}

impl Drop for Created<'_> {
    fn drop(&mut self) {
        let mut command = self.runtime.command("delete");
        command.args(["--force", ID]).stdout(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            eprintln!("xtask: {command:?} failed: a container is left behind");
        }
        if let Some(pid) = self.pid {
            // It is gone already, unless the deletion failed.
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
                .map(drop)
                .unwrap_or_default();
        }
    }
}

/// Runs a command, which must succeed, from its start to its end.
pub fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status();
    let time = begin.elapsed();
    let program = command.get_program().to_owned();
    let status = status.with_context(|| format!("cannot run {}", program.display()))?;
    let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    ensure!(status.success(), "{} {} failed with {status}", program.display(), args.join(" "));
    Ok(time)
}
