//! Running a helper program, as a hook, to its end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, Signal as Kill, kill_process_group};

use crate::{Error, PidFd, Result};

/// How much of what a failed program wrote is kept: the end, where the reason is.
const OUTPUT_LIMIT: u64 = 4096;

/// A program that is run to its end.
///
/// What it reads and writes are memory files: neither a program that does not read, nor one that leaves a
/// process behind with its output open, can keep the caller waiting.
#[derive(Debug, Clone, Copy)]
pub struct Helper<'a> {
    /// The program, an absolute path.
    pub program: &'a Path,
    /// Its arguments, its own name first. Without any it gets its path as its name.
    pub args: &'a [String],
    /// Its environment, as `NAME=value`; nothing stands for the caller's.
    pub env: Option<&'a [String]>,
    /// Where it starts, if not where the caller is.
    pub directory: Option<&'a Path>,
    /// What it finds on standard input.
    pub input: &'a [u8],
    /// After this time it is killed, with its process group. Nothing stands for any time.
    ///
    /// What has left the group, as daemons do by setsid(2), is not killed: nothing tells it from a daemon that
    /// is to stay, and who has privileges can leave whatever group there is.
    pub timeout: Option<Duration>,
}

impl Helper<'_> {
    /// Runs it and waits for its end. That it fails is an [`Error::Helper`].
    ///
    /// It is started with posix_spawn(3), so the caller may have threads.
    pub fn run(&self) -> Result<()> {
        let mut output = memory("helper-output", &[])?;
        let copy = |file: &File| file.try_clone().map_err(|error| failure("fcntl", &error));
        let mut command = Command::new(self.program);
        command
            .stdin(memory("helper-input", self.input)?)
            .stdout(copy(&output)?)
            .stderr(copy(&output)?)
            // So that all of it can be killed.
            .process_group(0);
        if let Some((name, args)) = self.args.split_first() {
            command.arg0(name).args(args);
        }
        if let Some(env) = self.env {
            let split = |entry: &String| {
                let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
                (name.to_owned(), value.to_owned())
            };
            command.env_clear().envs(env.iter().map(split));
        }
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        let child = command.spawn().map_err(|error| Error::Helper {
            how: format!("cannot be executed: {error}"),
            output: String::new(),
        })?;
        match self.wait(child)? {
            None => Ok(()),
            Some(how) => Err(Error::Helper { how, output: tail(&mut output)? }),
        }
    }

    /// Waits for the end; says how it failed.
    fn wait(&self, mut child: Child) -> Result<Option<String>> {
        let pid = i32::try_from(child.id()).unwrap_or_default();
        if let Some(timeout) = self.timeout
            && !PidFd::open(pid)?.wait_exit(timeout)?
        {
            kill_group(pid)?;
            child.wait().map_err(|error| failure("waitid", &error))?;
            return Ok(Some(format!("took more than {} s and was killed", timeout.as_secs())));
        }
        let status = child.wait().map_err(|error| failure("waitid", &error))?;
        Ok((!status.success()).then(|| format!("failed with {status}")))
    }
}

/// The child was not waited for yet, so the number of its group is nobody else's.
fn kill_group(pid: i32) -> Result<()> {
    let killed =
        Pid::from_raw(pid).map_or(Err(Errno::SRCH), |pid| kill_process_group(pid, Kill::KILL));
    killed.map_err(|errno| {
        Error::syscall("cannot kill the program", "kill", format!("-{pid}"), errno)
    })
}

/// A memory file with `content`, at its beginning.
fn memory(name: &str, content: &[u8]) -> Result<File> {
    let mut file = memfd_create(name, MemfdFlags::CLOEXEC)
        .map(File::from)
        .map_err(|errno| Error::syscall("cannot run the program", "memfd_create", name, errno))?;
    file.write_all(content)
        .and_then(|()| file.rewind())
        .map_err(|error| failure("write", &error))?;
    Ok(file)
}

fn tail(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    file.seek(SeekFrom::Start(length.saturating_sub(OUTPUT_LIMIT)))
        .and_then(|_| file.take(OUTPUT_LIMIT).read_to_end(&mut bytes))
        .map_err(|error| failure("read", &error))?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn failure(call: &'static str, error: &std::io::Error) -> Error {
    let source = coracle_sys::SyscallError::from_io(call, "a helper program", error);
    Error::Syscall { what: "cannot run the program", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<Duration>) -> Result<()> {
        let args = ["sh", "-c", script].map(str::to_owned);
        let env = ["WORD=sesame".to_owned()];
        let helper = Helper {
            program: Path::new("/bin/sh"),
            args: &args,
            env: Some(&env),
            directory: Some(Path::new("/")),
            input: b"input",
            timeout,
        };
        helper.run()
    }

    #[test]
    fn what_it_gets_and_what_it_says() {
        shell("test \"$(cat) $WORD $PWD\" = 'input sesame /'", None).unwrap();
        let error = shell("echo here; echo there >&2; exit 3", None).unwrap_err().to_string();
        assert_eq!(error, "failed with exit status: 3; it wrote: here\nthere");
        let error = shell("kill -9 $$", None).unwrap_err().to_string();
        assert!(error.starts_with("failed with signal: 9"), "{error}");
    }

    #[test]
    fn it_does_not_wait_for_what_is_left_behind() {
        shell("sleep 5 & exit 0", None).unwrap();
    }

    #[test]
    fn it_is_killed_in_time() {
        let error = shell("sleep 100", Some(Duration::from_millis(50))).unwrap_err().to_string();
        assert_eq!(error, "took more than 0 s and was killed without a word");
    }

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let Err(Error::Helper { output, .. }) =
            shell("yes | head -c 100000; echo end; exit 1", None)
        else {
            panic!("it failed otherwise");
        };
        assert!(output.ends_with("end") && output.len() <= 4096);
    }
}
