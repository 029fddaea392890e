//! Processes of containers that are children of the caller.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_process::{BlockedSignals, ExitStatus, Foreground, Orphans, PidFd, RawMode, Terminal};

use crate::Result;
use crate::launch::Init;
use crate::lower::seccomp::SeccompFilter;

/// A process in a container, a child of the caller. Dropping it leaves it running.
#[derive(Debug)]
pub struct Process {
    init: Init,
    terminal: Option<OwnedFd>,
    notes: Notes,
}

/// What is to be said of a process that was started.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) warnings: Vec<String>,
    pub(crate) filter: Option<SeccompFilter>,
}

impl Process {
    pub(crate) fn new(init: Init, terminal: Option<OwnedFd>, notes: Notes) -> Self {
        Self { init, terminal, notes }
    }

    /// Its number in the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        self.init.pid
    }

    /// A descriptor of it, which becomes readable when it ends: for event loops.
    pub fn pidfd(&self) -> &PidFd {
        &self.init.pidfd
    }

    /// What the user should know, as limits that could not be set.
    pub fn warnings(&self) -> &[String] {
        &self.notes.warnings
    }

    /// The seccomp filter that it is under, if any.
    pub fn seccomp_filter(&self) -> Option<SeccompFilter> {
        self.notes.filter
    }

    /// The controlling side of its terminal, if it has one and nobody took it yet.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// Waits until it ends, as long as that takes, and reaps it.
    pub fn wait(&self) -> Result<ExitStatus> {
        Ok(self.init.pidfd.wait()?)
    }

    /// Waits as its stand-in in the foreground: passes on signals, and the caller's terminal.
    ///
    /// `signals` must have been blocked before the process was created, so that none is lost.
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
