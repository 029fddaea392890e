//! Containers that this process created and whose first process is its child.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_process::{BlockedSignals, ExitStatus, Foreground, Orphans, PidFd, RawMode, Terminal};

use crate::launch::Init;
use crate::{Container, Result};

/// What the user should know, though the container works.
#[derive(Debug, Default)]
pub(crate) struct Warnings(pub(crate) Vec<String>);

/// A container that waits for its start.
#[derive(Debug)]
pub struct Created {
    container: Container,
    init: Init,
    warnings: Warnings,
}

impl Created {
    pub(crate) fn new(container: Container, init: Init, warnings: Warnings) -> Self {
        Self { container, init, warnings }
    }

    /// The container.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// The number of its first process.
    pub fn pid(&self) -> i32 {
        self.init.pid
    }

    /// What the user should know, as limits that could not be set.
    pub fn warnings(&self) -> &[String] {
        &self.warnings.0
    }

    /// Executes the container's command.
    pub fn start(self) -> Result<Running> {
        self.container.start()?;
        Ok(Running::new(self.container, self.init, None, self.warnings))
    }
}

/// A container whose command runs. Dropping it leaves the container running.
#[derive(Debug)]
pub struct Running {
    container: Container,
    init: Init,
    terminal: Option<OwnedFd>,
    warnings: Warnings,
}

impl Running {
    pub(crate) fn new(
        container: Container,
        init: Init,
        terminal: Option<OwnedFd>,
        warnings: Warnings,
    ) -> Self {
        Self { container, init, terminal, warnings }
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
        self.init.pid
    }

    /// Its first process, which becomes readable when it ends: for event loops.
    pub fn pidfd(&self) -> &PidFd {
        &self.init.pidfd
    }

    /// What the user should know, as limits that could not be set.
    pub fn warnings(&self) -> &[String] {
        &self.warnings.0
    }

    /// The controlling side of the container's terminal, if it has one and nobody took it yet.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Waits until the command ends, as long as that takes, and reaps it. The container is then stopped.
    pub fn wait(&self) -> Result<ExitStatus> {
        Ok(self.init.pidfd.wait()?)
    }

    /// Waits as the container's stand-in in the foreground: passes on signals, and the caller's terminal.
    ///
    /// `signals` must have been blocked before the container was created, so that none is lost.
    pub fn attend(&mut self, signals: &BlockedSignals, orphans: Orphans) -> Result<ExitStatus> {
        let (input, output) = (std::io::stdin(), std::io::stdout());
        let arriving = signals.descriptor()?;
        let Init { pid, pidfd } = &self.init;
        let child = Foreground { pid: *pid, pidfd, signals: &arriving, orphans };
        let Some(controller) = self.terminal.take() else { return Ok(child.attend(None)?) };
        let _raw = raw_mode(input.as_fd())?;
        let terminal = Terminal::new(controller, input.as_fd(), output.as_fd())?;
        Ok(child.attend(Some(terminal))?)
    }
}

/// Raw mode for the caller's input, if that is a terminal.
fn raw_mode(input: BorrowedFd<'_>) -> Result<Option<RawMode<'_>>> {
    Ok(rustix::termios::isatty(input).then(|| RawMode::enter(input)).transpose()?)
}
