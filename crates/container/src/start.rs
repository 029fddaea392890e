//! Starting a container that was created.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use coracle_process::PidFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};

use crate::{Container, Error, Result, Status};

/// How long the first process may take from waking up to the execution of the command.
const DEADLINE: Duration = Duration::from_secs(60);

impl Container {
    /// Executes the command of a created container.
    pub fn start(&self) -> Result<()> {
        let _lock = self.entry.lock()?;
        let (status, pidfd) = self.inspect()?;
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
        let path = self.entry.fifo();
        let failure = |errno: Errno| Error::file("open", &path, errno);
        // Opening it wakes the process up; not blocking, as the process may die instead.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fifo = open(&path, flags, Mode::empty()).map_err(failure)?;
        Waking { fifo, init, deadline: Instant::now() + DEADLINE }.wait()?;
        fs::remove_file(&path).map_err(|error| Error::file("remove", &path, error))
    }
}

/// A process between waking up and executing the command.
struct Waking {
    fifo: OwnedFd,
    init: PidFd,
    deadline: Instant,
}

impl Waking {
    /// The process writes one byte when it is awake, and then nothing but the reason of a failure; when
    /// it executes the command the FIFO closes.
    fn wait(&self) -> Result<()> {
        let mut said = Vec::new();
        loop {
            let ended = self.poll()?;
            let mut buffer = [0; 4096];
            match read(&self.fifo, &mut buffer) {
                Ok(0) if !said.is_empty() => break,
                // Nobody has opened the other end yet.
                Ok(0) | Err(Errno::AGAIN | Errno::INTR) if !ended => {}
                Ok(0) | Err(Errno::AGAIN | Errno::INTR) => break,
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(errno) => return Err(Error::file("read", "exec.fifo", errno)),
            }
        }
        match said.split_first() {
            Some((_, [])) => Ok(()),
            Some((_, reason)) => Err(Error::Launch(String::from_utf8_lossy(reason).into_owned())),
            None => Err(Error::Launch("the process ended before it was started".into())),
        }
    }

    /// Waits for something to read or for the end of the process. Has it ended?
    fn poll(&self) -> Result<bool> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
        let fifo = self.fifo.as_fd();
        let mut fds = [PollFd::new(&fifo, PollFlags::IN), PollFd::new(&self.init, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => Err(Error::Timeout("waiting for the container's process to wake up")),
            Ok(_) | Err(Errno::INTR) => Ok(!fds[1].revents().is_empty()),
            Err(errno) => Err(Error::file("poll", "exec.fifo", errno)),
        }
    }
}
