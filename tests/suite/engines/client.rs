//! The command line that docker made usual.

use std::ffi::OsString;
use std::path::PathBuf;

use coracle_testkit::{Cmd, Output, Result, eventually};

use super::{IMAGE, SERVICE};

/// How an engine is called.
pub struct Client {
    /// Its command, with all that must be said before what it shall do.
    pub words: Vec<OsString>,
    pub env: Vec<(&'static str, OsString)>,
    /// Where it is called: conmon leaves files there.
    pub directory: PathBuf,
    /// What each container must be told.
    pub run: Vec<String>,
}

impl Client {
    pub fn command(&self, words: &[&str]) -> Cmd {
        let (program, args) = self.words.split_at(1);
        let command = Cmd::new(&program[0]).args(args).args(words);
        let command = command.directory(&self.directory).deadline(60);
        self.env.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// Runs a container of the image; the command in it follows.
    pub fn run(&self, flags: &[&str]) -> Cmd {
        self.command(&["run"]).args(&self.run).args(flags).arg(IMAGE)
    }

    /// The output of a shell script in a container that is removed then.
    pub fn script(&self, flags: &[&str], script: &str) -> Result<Output> {
        let flags = [flags, &["--rm"]].concat();
        self.run(&flags).args(["sh", "-c", script]).succeed()
    }

    /// What a subcommand that succeeds prints.
    pub fn text(&self, words: &[&str]) -> Result<String> {
        Ok(self.command(words).succeed()?.text().to_owned())
    }

    /// A field of what the engine knows of a container.
    pub fn inspect(&self, name: &str, field: &str) -> Result<String> {
        self.text(&["inspect", "--format", &format!("{{{{{field}}}}}"), name])
    }

    /// Starts a service in the background, and waits until it is up.
    pub fn serve(&self, name: &str, flags: &[&str]) -> Result<()> {
        self.detach(name, flags, SERVICE)?;
        self.logs(name, "up\n")
    }

    /// Starts a script in the background.
    pub fn detach(&self, name: &str, flags: &[&str], script: &str) -> Result<()> {
        let flags = [flags, &["--detach", "--name", name]].concat();
        self.run(&flags).args(["sh", "-c", script]).succeed().map(drop)
    }

    /// Waits until that is all that a container has said.
    pub fn logs(&self, name: &str, text: &str) -> Result<()> {
        let seen = eventually(&format!("{name} to say {text:?}"), || {
            Ok((self.command(&["logs", name]).succeed()?.stdout == text).then_some(()))
        });
        seen.map_err(|error| match self.text(&["logs", name]) {
            Ok(seen) => error.context(format!("it says {seen:?}")),
            Err(_) => error,
        })
    }

    /// A script in a container that runs.
    pub fn exec(&self, name: &str, flags: &[&str], script: &str) -> Result<Output> {
        self.command(&["exec"]).args(flags).args([name, "sh", "-c", script]).run()
    }

    /// Ends a container that runs, and removes it.
    pub fn end(&self, name: &str) -> Result<()> {
        self.text(&["kill", name])?;
        self.text(&["wait", name])?;
        self.text(&["rm", name]).map(drop)
    }
}
