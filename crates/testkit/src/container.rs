//! A container that a test has created.

use std::ffi::OsString;

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use crate::command::wait_readable;
use crate::{Cmd, Output, Result, check, check_eq, eventually, scaled};

/// A container that a test has created.
#[derive(Debug, Clone)]
pub struct Container {
    id: String,
    /// The runtime with its global flags.
    runtime: Vec<OsString>,
    /// What `create` said; the container's streams are the same files.
    created: Output,
}

impl Container {
    pub(crate) fn new(id: String, runtime: Vec<OsString>, created: Output) -> Self {
        Self { id, runtime, created }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What `create` said.
    pub fn created(&self) -> &Output {
        &self.created
    }

    /// The runtime's command for this container: `start` and so on, with flags before the id.
    pub fn command(&self, command: &str, flags: &[&str]) -> Cmd {
        Cmd::of(&self.runtime).arg(command).args(flags).arg(&self.id)
    }

    /// The command that executes one more program in it.
    pub fn exec(&self, args: &[&str]) -> Cmd {
        self.exec_with(&[], args)
    }

    /// As [`exec`](Self::exec), with flags.
    pub fn exec_with(&self, flags: &[&str], args: &[&str]) -> Cmd {
        self.command("exec", flags).args(args)
    }

    /// The output of a shell script that is executed in it and succeeds.
    pub fn script(&self, script: &str) -> Result<Output> {
        self.exec(&["sh", "-c", script]).succeed()
    }

    /// Starts it.
    pub fn start(&self) -> Result<Output> {
        self.command("start", &[]).succeed()
    }

    /// Sends a signal.
    pub fn kill(&self, signal: &str) -> Result<Output> {
        self.command("kill", &[]).arg(signal).succeed()
    }

    /// Deletes it.
    pub fn delete(&self) -> Result<Output> {
        self.command("delete", &[]).succeed()
    }

    /// Deletes it with `--force`.
    pub fn delete_forcibly(&self) -> Result<Output> {
        self.command("delete", &["--force"]).succeed()
    }

    /// Its state.
    pub fn state(&self) -> Result<Value> {
        self.command("state", &[]).succeed()?.json()
    }

    /// Its status.
    pub fn status(&self) -> Result<String> {
        Ok(self.state()?["status"].as_str().context("a state without status")?.to_owned())
    }

    /// The number of its first process.
    pub fn pid(&self) -> Result<i32> {
        let pid = self.state()?["pid"].as_i64().context("a state without pid")?;
        check!(pid > 0, "the state has pid {pid}");
        Ok(i32::try_from(pid)?)
    }

    /// Waits until its first process has ended and its status is `stopped`.
    pub fn wait_until_stopped(&self) -> Result<()> {
        let pid = self.state()?["pid"].as_i64().unwrap_or_default();
        if let Some(pid) = Pid::from_raw(i32::try_from(pid)?)
            && let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
        {
            check!(wait_readable(&pidfd, scaled(20))?, "it did not end");
        }
        check_eq!(self.status()?, "stopped");
        Ok(())
    }

    /// What its process has printed so far.
    pub fn stdout(&self) -> Result<String> {
        self.created.stdout_now()
    }

    /// What its process has complained of so far.
    pub fn stderr(&self) -> Result<String> {
        self.created.stderr_now()
    }

    /// Waits until its process has printed this.
    pub fn wait_for(&self, text: &str) -> Result<()> {
        eventually(&format!("{text:?} in the container's output"), || {
            Ok(self.stdout()?.contains(text).then_some(()))
        })
    }

    /// Waits for its end, deletes it and returns all that its process printed.
    pub fn finish(self) -> Result<String> {
        self.wait_until_stopped()?;
        self.delete()?;
        self.stdout()
    }
}
