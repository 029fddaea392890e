//! An empty process that starts a container whenever it is asked to.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::starts::Starts;

pub struct Other {
    process: Child,
    answers: BufReader<ChildStdout>,
}

/// Starts one container for each line of standard input, and prints how many nanoseconds that took.
pub fn serve(starts: &mut Starts) -> anyhow::Result<()> {
    for line in stdin().lines() {
        line?;
        writeln!(stdout(), "{}", starts.start()?.as_nanos())?;
        stdout().flush()?;
    }
    Ok(())
}

impl Other {
    pub fn spawn() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.arg("--on-demand").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start the empty process")?;
        let answers = BufReader::new(process.stdout.take().context("no pipe")?);
        Ok(Self { process, answers })
    }

    pub fn start(&mut self) -> anyhow::Result<Duration> {
        let requests = self.process.stdin.as_mut().context("no pipe")?;
        requests.write_all(b"\n")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let nanos = answer.trim().parse().context("the empty process failed")?;
        Ok(Duration::from_nanos(nanos))
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        let status = self.process.wait()?;
        ensure!(status.success(), "the empty process failed with {status}");
        Ok(())
    }
}
