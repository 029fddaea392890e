//! Containers that this process created and whose first process is its child.

use std::os::fd::OwnedFd;

use coracle_process::{BlockedSignals, ExitStatus, Orphans, PidFd};

use crate::lower::seccomp::SeccompFilter;
use crate::{Container, NotifyProxy, Process, Result};

/// A container that waits for its start.
#[derive(Debug)]
pub struct Created {
    container: Container,
    process: Process,
}

impl Created {
    pub(crate) fn new(container: Container, process: Process) -> Self {
        Self { container, process }
    }

    /// The container.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// The number of its first process.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// What the user should know, as limits that could not be set.
    pub fn warnings(&self) -> &[String] {
        self.process.warnings()
    }

    /// The seccomp filter that it is under, if any.
    pub fn seccomp_filter(&self) -> Option<SeccompFilter> {
        self.process.seccomp_filter()
    }

    /// Executes the container's command.
    pub fn start(self) -> Result<Running> {
        self.container.start()?;
        Ok(Running::new(self.container, self.process, None))
    }
}

/// A container whose command runs. Dropping it leaves the container running.
#[derive(Debug)]
pub struct Running {
    container: Container,
    process: Process,
    notify: Option<NotifyProxy>,
}

impl Running {
    pub(crate) fn new(container: Container, process: Process, notify: Option<NotifyProxy>) -> Self {
        Self { container, process, notify }
    }

    /// What passes on the container's readiness, if the builder was told who
    /// [wants to know](crate::ContainerBuilder::notify).
    pub fn take_notify_proxy(&mut self) -> Option<NotifyProxy> {
        self.notify.take()
    }

    /// The container.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// The container alone, as to be deleted.
    pub fn into_container(self) -> Container {
        self.container
    }

    /// The number of its first process.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Its first process, which becomes readable when it ends: for event loops.
    pub fn pidfd(&self) -> &PidFd {
        self.process.pidfd()
    }

    /// What the user should know, as limits that could not be set.
    pub fn warnings(&self) -> &[String] {
        self.process.warnings()
    }

    /// The seccomp filter that it is under, if any.
    pub fn seccomp_filter(&self) -> Option<SeccompFilter> {
        self.process.seccomp_filter()
    }

    /// The controlling side of the container's terminal, if it has one and nobody took it yet.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.process.take_terminal()
    }

    /// Waits until the command ends, as long as that takes, and reaps it. The container is then stopped.
    pub fn wait(&self) -> Result<ExitStatus> {
        self.process.wait()
    }

    /// Waits as the container's stand-in in the foreground: passes on signals, and the caller's terminal.
    ///
    /// `signals` must have been blocked before the container was created, so that none is lost.
    pub fn attend(&mut self, signals: &BlockedSignals, orphans: Orphans) -> Result<ExitStatus> {
        self.process.attend(signals, orphans)
    }
}
