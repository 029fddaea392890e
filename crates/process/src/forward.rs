//! Standing in for a child in the foreground: signals and terminal pass through until it ends.

use std::os::fd::AsFd;

use coracle_sys::wait;
use rustix::io::Errno;
use rustix::process::{Pid, set_child_subreaper};

use crate::terminal::{self, Terminal};
use crate::{Error, ExitStatus, PidFd, Result, Signal, SignalFd};

/// What becomes of processes whose parents end before them, while one waits for a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// They go to the host's init, or to whoever else reaps there.
    Leave,
    /// They go to the calling process, which reaps them.
    Adopt,
}

impl Orphans {
    /// Makes the calling process the reaper of what its descendants leave behind (`PR_SET_CHILD_SUBREAPER`).
    pub fn adopt() -> Result<Self> {
        // Any process number means yes.
        set_child_subreaper(Some(Pid::INIT)).map_err(|errno| failure("prctl", errno))?;
        Ok(Self::Adopt)
    }

    /// Reaps every child that has ended, but for the one with the number `child`.
    fn reap(self, child: i32) -> Result<()> {
        if self == Self::Leave {
            return Ok(());
        }
        let failed = |source| Error::Syscall { what: "cannot reap an orphan", source };
        // The child itself is left to whoever waits for it, and hides the others until then.
        while let Some(ended) = wait::peek_ended().map_err(failed)?.filter(|pid| *pid != child) {
            wait::reap(ended).map_err(failed)?;
        }
        Ok(())
    }
}

/// A child in the foreground.
#[derive(Debug)]
pub struct Foreground<'child> {
    /// Its number.
    pub pid: i32,
    /// The child itself.
    pub pidfd: &'child PidFd,
    /// The signals to be passed on to it.
    pub signals: &'child SignalFd,
    /// What becomes of its orphans.
    pub orphans: Orphans,
}

impl Foreground<'_> {
    /// Waits for the end of the child, passes signals on to it and serves its `terminal`.
    ///
    /// This ends when the child does; the caller has decided to wait for it.
    pub fn attend(&self, mut terminal: Option<Terminal<'_>>) -> Result<ExitStatus> {
        loop {
            let others = [self.pidfd.as_fd(), self.signals.as_fd()];
            let [ended, signal] = terminal::wait(others, terminal.as_mut())?;
            if signal {
                self.forward_signals(terminal.as_ref())?;
                self.orphans.reap(self.pid)?;
            }
            if ended {
                // What it wrote last may still be in the terminal.
                terminal.as_mut().map_or(Ok(()), Terminal::drain)?;
                return self.pidfd.wait();
            }
        }
    }

    fn forward_signals(&self, terminal: Option<&Terminal<'_>>) -> Result<()> {
        while let Some(signal) = self.signals.next()? {
            match signal {
                Signal::WINDOW if terminal.is_some() => {
                    terminal.into_iter().for_each(Terminal::resize)
                }
                // They concern this process: its children, its sockets.
                Signal::CHILD | Signal::URGENT => {}
                signal => {
                    self.pidfd.signal(signal)?;
                }
            }
        }
        Ok(())
    }
}

fn failure(call: &'static str, errno: Errno) -> Error {
    Error::syscall("cannot serve the process in the foreground", call, "", errno)
}
