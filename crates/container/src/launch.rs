//! Starting the init program and talking to it until it is the container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coracle_cgroup::Entry;
use coracle_init::plan::{CgroupEntry, LivePlan, Plan, Slot, Task};
use coracle_init::wire::{self, ToHost, ToInit};
use coracle_process::{Channel, PidFd, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::seal::{NAME, SealedExe};
use crate::{Error, Result};

/// How long the container may take to be built. Network file systems can be slow; a hung one is an error.
pub(crate) const BUILD_TIME: Duration = Duration::from_secs(120);

/// How long a killed process may take to end.
const KILL_DEADLINE: Duration = Duration::from_secs(2);

/// The descriptors that go with a plan.
#[derive(Debug, Default)]
pub(crate) struct Handover(Vec<OwnedFd>);

impl Handover {
    /// Adds a descriptor; the plan names it by the slot.
    pub(crate) fn add(&mut self, descriptor: impl Into<OwnedFd>) -> Slot {
        self.0.push(descriptor.into());
        Slot(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// Adds what a process needs to enter its cgroup, or the other one that it gets if the first takes nobody.
    pub(crate) fn add_cgroup(&mut self, entry: Entry, otherwise: Option<OwnedFd>) -> CgroupEntry {
        CgroupEntry {
            unified: entry.unified.map(|directory| self.add(directory)),
            otherwise: otherwise.map(|directory| self.add(directory)),
            tasks: entry.tasks.into_iter().map(|file| self.add(file)).collect(),
        }
    }
}

/// A container's first process, being born.
#[derive(Debug)]
pub(crate) struct Launch {
    channel: Channel,
    launcher: Child,
    /// How long each of the steps that follow may take; nothing stands for any time.
    pub(crate) limit: Option<Duration>,
    /// The process itself, once it exists.
    pub(crate) init: Option<Init>,
}

/// The first process: a child of the caller.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) pid: i32,
    pub(crate) pidfd: PidFd,
}

/// What the host must do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// The terminal came.
    Terminal { controller: OwnedFd, name: String },
    /// The listener of the seccomp filter came.
    Listener(OwnedFd),
    /// The network namespace waits for the host's devices, and the process to be told to go.
    Network,
    /// The process waits for the host to run its hooks, and to be told to go.
    Hooks,
    /// The process waits to be told to go.
    Ready,
}

impl Launch {
    /// Starts the program, which waits for its plan.
    pub(crate) fn start(exe: &SealedExe) -> Result<Self> {
        let (channel, theirs) = Channel::pair()?;
        // Nothing that makes std fork instead of calling posix_spawn: the socket is standard input.
        let mut command = Command::new(exe.path());
        std::os::unix::process::CommandExt::arg0(&mut command, NAME);
        let launcher = command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .map_err(|error| Error::Launch(format!("{error}; is /proc mounted?")))?;
        Ok(Self { channel, launcher, limit: Some(BUILD_TIME), init: None })
    }

    /// The number of the launcher.
    pub(crate) fn pid(&self) -> u32 {
        self.launcher.id()
    }

    /// Hands over the plan.
    pub(crate) fn send(&mut self, plan: Plan, handover: &Handover) -> Result<()> {
        self.send_task(&Task::Process(Box::new(plan)), handover)
    }

    /// Has the program change the mounts of a container, and waits until that is done.
    pub(crate) fn change_mounts(mut self, plan: LivePlan, handover: &Handover) -> Result<()> {
        self.send_task(&Task::Mounts(plan), handover)?;
        wait_readable(&self.channel, self.deadline())?;
        match wire::receive::<ToHost>(&self.channel)? {
            Some((ToHost::Done, _)) => self.reap_launcher(),
            Some((ToHost::Failed(error), _)) => Err(error.into()),
            Some(_) => Err(Error::Launch("it sent a message out of order".into())),
            None => Err(self.death()),
        }
    }

    fn send_task(&mut self, task: &Task, handover: &Handover) -> Result<()> {
        let descriptors: Vec<BorrowedFd<'_>> = handover.0.iter().map(AsFd::as_fd).collect();
        match wire::send_plan(&self.channel, task, &descriptors) {
            Err(error) if error.is_hang_up() => Err(self.death()),
            sent => Ok(sent?),
        }
    }

    /// Waits for the next thing to do.
    pub(crate) fn next(&mut self) -> Result<Step> {
        let deadline = self.deadline();
        loop {
            wait_readable(&self.channel, deadline)?;
            let Some((message, descriptor)) = wire::receive::<ToHost>(&self.channel)? else {
                return Err(self.death());
            };
            match (message, descriptor) {
                (ToHost::Child { pid }, Some(pidfd)) if self.init.is_none() => {
                    self.init = Some(Init { pid, pidfd: PidFd::from(pidfd) });
                }
                (ToHost::Terminal { name }, Some(controller)) => {
                    return Ok(Step::Terminal { controller, name });
                }
                (ToHost::Listener, Some(listener)) if self.init.is_some() => {
                    return Ok(Step::Listener(listener));
                }
                (ToHost::Network, _) if self.init.is_some() => return Ok(Step::Network),
                (ToHost::Hooks, _) if self.init.is_some() => return Ok(Step::Hooks),
                (ToHost::Ready, _) if self.init.is_some() => return Ok(Step::Ready),
                (ToHost::Failed(error), _) => return Err(error.into()),
                _ => return Err(Error::Launch("it sent a message out of order".into())),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.limit.map(|limit| Instant::now() + limit)
    }

    /// Lets the process go on: after devices came or hooks ran, or to the execution of its command, or to wait for its start.
    pub(crate) fn go(&mut self) -> Result<()> {
        match wire::send(&self.channel, &ToInit::Go, None) {
            Err(error) if error.is_hang_up() => Err(self.death()),
            sent => Ok(sent?),
        }
    }

    /// Waits until the command is executed, or says why it was not.
    pub(crate) fn executed(&mut self) -> Result<()> {
        wait_readable(&self.channel, self.deadline())?;
        match wire::receive::<ToHost>(&self.channel)? {
            // Its end of the socket closed with execve(2).
            None => Ok(()),
            Some((ToHost::Failed(error), _)) => Err(error.into()),
            Some(_) => Err(Error::Launch("it sent a message out of order".into())),
        }
    }

    /// Reaps the launcher and returns the process.
    pub(crate) fn finish(mut self) -> Result<Init> {
        self.reap_launcher()?;
        self.init.take().ok_or_else(|| Error::Launch("it made no process".into()))
    }

    fn reap_launcher(&mut self) -> Result<()> {
        self.launcher.wait().map(drop).map_err(|error| Error::Launch(error.to_string()))
    }

    /// What became of a program that closed the socket without a word.
    fn death(&mut self) -> Error {
        let how = match (&self.init, self.launcher.wait()) {
            (Some(init), _) => match init.pidfd.wait_exit(KILL_DEADLINE) {
                Ok(false) => "its process closed the socket".to_owned(),
                _ => init.pidfd.wait().map_or_else(
                    |error| error.to_string(),
                    |status| format!("its process ended with {status}"),
                ),
            },
            (None, Ok(status)) => format!("it ended with {status}"),
            (None, Err(error)) => error.to_string(),
        };
        Error::Launch(how)
    }
}

impl Launch {
    fn end_process(&self) {
        let Some(init) = &self.init else { return };
        // Errors mean that it has gone already.
        init.pidfd.signal(Signal::KILL).unwrap_or_default();
        // A frozen process ends when its cgroup is killed, one that is stuck in the kernel never.
        if init.pidfd.wait_exit(KILL_DEADLINE).unwrap_or_default() {
            init.pidfd.wait().map(drop).unwrap_or_default();
        }
    }
}

/// What is not finished is undone: the launcher and the process end, and are reaped.
impl Drop for Launch {
    fn drop(&mut self) {
        self.end_process();
        if matches!(self.launcher.try_wait(), Ok(None)) {
            self.launcher.kill().unwrap_or_default();
            self.reap_launcher().unwrap_or_default();
        }
        // It may have made the process after all, which nobody has heard of then.
        while self.init.is_none()
            && wait_readable(&self.channel, Some(Instant::now())).is_ok()
            && let Ok(Some((message, pidfd))) = wire::receive::<ToHost>(&self.channel)
        {
            if let (ToHost::Child { pid }, Some(pidfd)) = (message, pidfd) {
                self.init = Some(Init { pid, pidfd: PidFd::from(pidfd) });
                self.end_process();
            }
        }
    }
}

fn wait_readable(channel: &Channel, deadline: Option<Instant>) -> Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(channel, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return Err(Error::Timeout("waiting for the container to be built")),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::file("poll", "the init program's socket", errno)),
        }
    }
}
