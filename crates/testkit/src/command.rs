//! Programs that are run with a deadline, and what they said.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{Result, audit, check, masked, scaled};

/// Seconds until a program that has not ended counts as hung.
const DEADLINE: u64 = 20;

/// A program to be run: with an empty standard input, and output that is kept.
///
/// The output goes to files, not to pipes: a container keeps its streams open longer than the runtime.
#[derive(Debug)]
pub struct Cmd {
    words: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    streams: [Option<Stdio>; 3],
    deadline: Duration,
    without: Option<String>,
}

impl Cmd {
    /// The program, found as a shell finds it.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            words: vec![program.as_ref().to_owned()],
            env: Vec::new(),
            directory: None,
            streams: [Some(Stdio::null()), None, None],
            deadline: scaled(DEADLINE),
            without: masked::call_of_all(),
        }
    }

    /// The program and its first arguments.
    pub(crate) fn of(words: &[OsString]) -> Self {
        Self { words: words.to_vec(), ..Self::new("") }
    }

    /// The program and its arguments.
    pub(crate) fn words(&self) -> &[OsString] {
        &self.words
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.words.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Runs it through another program: these words come before all that was given so far.
    #[must_use]
    pub fn through(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let before = words.into_iter().map(|word| word.as_ref().to_owned());
        self.words.splice(0..0, before);
        self
    }

    /// Runs it from a shell that does `preparation` first, as `exec 7</`.
    #[must_use]
    pub fn after(self, preparation: &str) -> Self {
        self.through(["sh", "-c", &format!("{preparation}\nexec \"$@\""), "sh"])
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// Runs it without this variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// Its working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// What it reads.
    #[must_use]
    pub fn stdin(mut self, stream: impl Into<Stdio>) -> Self {
        self.streams[0] = Some(stream.into());
        self
    }

    /// A text that it reads.
    pub fn input(self, text: &str) -> Result<Self> {
        let mut file = memory_file()?;
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        Ok(self.stdin(file))
    }

    /// Where its output goes, which is then not kept.
    #[must_use]
    pub fn stdout(mut self, stream: impl Into<Stdio>) -> Self {
        self.streams[1] = Some(stream.into());
        self
    }

    /// Where its messages go, which are then not kept.
    #[must_use]
    pub fn stderr(mut self, stream: impl Into<Stdio>) -> Self {
        self.streams[2] = Some(stream.into());
        self
    }

    /// Another deadline than 20 (scaled) seconds.
    #[must_use]
    pub fn deadline(mut self, seconds: u64) -> Self {
        self.deadline = scaled(seconds);
        self
    }

    /// Runs it, and all that it starts, as on a kernel that lacks this system call. Needs root.
    #[must_use]
    pub fn without_call(mut self, call: &str) -> Self {
        self.without = Some(call.to_owned());
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Result<Output> {
        self.spawn()?.wait()
    }

    /// Runs it to its end, which must be a success.
    pub fn succeed(self) -> Result<Output> {
        self.run()?.expect(0)
    }

    /// Starts it.
    pub fn spawn(self) -> Result<Background> {
        let shown =
            self.words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let Some((program, args)) = self.words.split_first() else { bail!("no program") };
        let mut command = match &self.without {
            Some(call) => masked::command(call, &self.words),
            None => {
                let mut command = Command::new(program);
                command.args(args);
                command
            }
        };
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let (stdout, stderr) = (memory_file()?, memory_file()?);
        let [input, output, messages] = self.streams;
        command.stdin(input.unwrap_or_else(Stdio::null));
        command.stdout(output.unwrap_or(stdout.try_clone()?.into()));
        command.stderr(messages.unwrap_or(stderr.try_clone()?.into()));
        let child = command.spawn().with_context(|| format!("cannot run {shown}"))?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let (stdout, stderr) = (Arc::new(stdout), Arc::new(stderr));
        Ok(Background { child, pidfd, stdout, stderr, shown, deadline: self.deadline })
    }
}

fn memory_file() -> Result<File> {
    Ok(memfd_create("output", MemfdFlags::CLOEXEC)?.into())
}

/// A program that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Background {
    child: Child,
    pidfd: OwnedFd,
    stdout: Arc<File>,
    stderr: Arc<File>,
    shown: String,
    deadline: Duration,
}

impl Background {
    /// Its number.
    pub fn pid(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_nonzero().get()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Has it not ended yet?
    pub fn runs(&self) -> Result<bool> {
        Ok(!wait_readable(&self.pidfd, Duration::ZERO)?)
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> Result<String> {
        contents(&self.stdout)
    }

    /// What it has complained of so far.
    pub fn stderr(&self) -> Result<String> {
        contents(&self.stderr)
    }

    /// Waits for its end; a program that does not come to it in time is killed, and the test fails.
    pub fn wait(mut self) -> Result<Output> {
        let in_time = wait_readable(&self.pidfd, self.deadline)?;
        let processes = if in_time { String::new() } else { audit::describe_processes() };
        if !in_time {
            self.child.kill()?;
        }
        let status = self.child.wait()?;
        let (stdout, stderr) = (contents(&self.stdout)?, contents(&self.stderr)?);
        let files = [self.stdout.clone(), self.stderr.clone()];
        let output = Output { status, stdout, stderr, shown: self.shown.clone(), files };
        if !in_time {
            bail!("hung for {:?}, then killed: {output}\nprocesses:\n{processes}", self.deadline);
        }
        Ok(output)
    }

    /// Kills it and waits for its end.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // One that has been waited for cannot be killed.
        if self.child.kill().is_ok() {
            self.child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// Waits until `descriptor` has something; false when the time is up.
pub(crate) fn wait_readable(descriptor: impl AsFd, timeout: Duration) -> Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).context("a time-out")?;
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&left)) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The whole file, from wherever others have it open.
pub(crate) fn contents(file: &File) -> Result<String> {
    let length = usize::try_from(file.metadata()?.len())?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How a program ended, and what it said.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    shown: String,
    files: [Arc<File>; 2],
}

impl Output {
    /// The exit code; a negative signal number if one killed it.
    pub fn code(&self) -> i32 {
        self.status.code().or(self.status.signal().map(|signal| -signal)).unwrap_or(i32::MIN)
    }

    /// Fails the test unless this is the exit code.
    pub fn expect(self, code: i32) -> Result<Self> {
        if self.code() != code {
            bail!("expected exit code {code}: {self}");
        }
        Ok(self)
    }

    /// Fails the test unless the command failed with exit code 1 and each of the words in its message;
    /// another runtime than ours may choose its words.
    pub fn refused(self, words: &[&str]) -> Result<Self> {
        let output = self.expect(1)?;
        if env::var_os("CORACLE_TEST_RUNTIME").is_none() {
            output.says(words)?;
        }
        Ok(output)
    }

    /// Fails the test unless `exec` failed by itself, with exit code 255, and each of the words in its
    /// message; another runtime than ours may choose its words and its code.
    pub fn not_executed(self, words: &[&str]) -> Result<()> {
        if env::var_os("CORACLE_TEST_RUNTIME").is_some() {
            check!(self.code() != 0, "it succeeded: {self}");
            return Ok(());
        }
        self.expect(255)?.says(words)
    }

    /// Fails the test unless each of the words is among the messages.
    pub fn says(&self, words: &[&str]) -> Result<()> {
        for word in words {
            check!(self.stderr.contains(word), "{word:?} is missing: {self}");
        }
        Ok(())
    }

    /// What it printed, without the spaces around.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// What it and those who share its output have printed by now.
    pub fn stdout_now(&self) -> Result<String> {
        contents(&self.files[0])
    }

    /// What it and those who share its output have complained of by now.
    pub fn stderr_now(&self) -> Result<String> {
        contents(&self.files[1])
    }

    /// The lines that it printed.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// What it printed, as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, stdout, stderr, shown, .. } = self;
        write!(
            f,
            "{shown}\n--- {status}; stdout:\n{}\n--- stderr:\n{}\n---",
            stdout.trim_end(),
            stderr.trim_end()
        )
    }
}
