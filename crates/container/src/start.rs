//! Starting a container that was created.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use coracle_init::plan::HookPlan;
use coracle_process::PidFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, write};

use crate::{Container, Error, Result, Status, hooks};

/// How long a process that could not start may take to end.
const END_TIME: Duration = Duration::from_secs(5);

/// How long the first process may take from waking up to the execution of the command, without its hooks.
const DEADLINE: Duration = Duration::from_secs(60);

const STUCK: &str =
    "waiting for the container's process to wake up, which was killed: was it stopped or traced?";

impl Container {
    /// Executes the command of a created container, then the hooks of the start. One that fails ends the
    /// container, as does a process that does not wake up.
    pub fn start(&self) -> Result<()> {
        let lock = self.entry.lock()?;
        // It may have been recorded only now.
        let current = Self::new(self.entry.clone(), self.entry.read()?);
        let (status, pidfd) = current.inspect_locked(&lock)?;
        let (Status::Created, Some(init)) = (status, pidfd) else {
            let hint = match status {
                Status::Running => Some("it has been started already"),
                Status::Paused => Some("resume it first"),
                Status::Stopped => Some("a container runs once: delete it and create it again"),
                Status::Creating | Status::Created => None,
            };
            let id = self.id().to_owned();
            return Err(Error::WrongState { id, operation: "start", status, hint });
        };
        // First the way back, so that nothing the process says is lost.
        let result = open_fifo(&self.entry.result(), OFlags::RDONLY)?;
        let start = open_fifo(&self.entry.fifo(), OFlags::WRONLY)?;
        write(&start, b"+").map_err(|errno| Error::file("write", self.entry.fifo(), errno))?;
        let hooks = current.record.as_ref().map(|record| record.hooks.clone()).unwrap_or_default();
        let limit = hooks.start_container.beyond(DEADLINE);
        let waking = Waking { result, init, deadline: limit.map(|limit| Instant::now() + limit) };
        waking.wait().inspect_err(|error| {
            // It must not start after all, once the caller was told that it did not.
            if let Error::Timeout(_) = error {
                current.kill_all().unwrap_or_default();
            }
        })?;
        self.entry.remove_fifos()?;
        current.run_poststart(&hooks.poststart)
    }

    fn run_poststart(&self, poststart: &[HookPlan]) -> Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        hooks::run(poststart, record, Status::Running).inspect_err(|_| {
            // The failure of the hook is what the caller must know; `delete --force` does the rest.
            self.kill_all().unwrap_or_default();
        })
    }
}

/// Opens one end; that the other one is not open means that the process is gone.
fn open_fifo(path: &Path, direction: OFlags) -> Result<OwnedFd> {
    let flags = direction | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match open(path, flags, Mode::empty()) {
        Err(Errno::NXIO) => Err(Error::Launch("the process ended before it was started".into())),
        opened => opened.map_err(|errno| Error::file("open", path, errno)),
    }
}

/// A process between waking up and executing the command.
struct Waking {
    result: OwnedFd,
    init: PidFd,
    deadline: Option<Instant>,
}

impl Waking {
    /// The process writes nothing but the reason of a failure, and its end closes when it executes the
    /// command or dies.
    fn wait(&self) -> Result<()> {
        let mut said = Vec::new();
        loop {
            let ended = self.poll()?;
            let mut buffer = [0; 4096];
            match read(&self.result, &mut buffer) {
                Ok(0) => break,
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(Errno::AGAIN | Errno::INTR) if !ended => {}
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(errno) => return Err(Error::file("read", "exec.result", errno)),
            }
        }
        let said = match said.split_first() {
            // The command is executed; what it did since then is its own affair.
            Some((&coracle_init::wire::EXECUTING, [])) => return Ok(()),
            Some((&coracle_init::wire::EXECUTING, reason)) => reason,
            Some(_) => &said[..],
            None => b"the process ended before it executed the command: who killed it?",
        };
        // It has said all, and ends: whoever looks next shall find it so.
        self.init.wait_exit(END_TIME)?;
        Err(Error::Launch(String::from_utf8_lossy(said).into_owned()))
    }

    /// Waits for something to read or for the end of the process. Has it ended?
    fn poll(&self) -> Result<bool> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds =
            [PollFd::new(&self.result, PollFlags::IN), PollFd::new(&self.init, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => Err(Error::Timeout(STUCK)),
            Ok(_) | Err(Errno::INTR) => Ok(!fds[1].revents().is_empty()),
            Err(errno) => Err(Error::file("poll", "exec.result", errno)),
        }
    }
}
