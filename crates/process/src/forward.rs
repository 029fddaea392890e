//! Standing in for a child in the foreground: signals and terminal pass through until it ends.

use std::os::fd::{BorrowedFd, OwnedFd};

use coracle_sys::wait;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::process::{Pid, set_child_subreaper};

use crate::{Error, ExitStatus, PidFd, Result, Signal, SignalFd, window_size};

/// How often to look whether a program has opened a pseudo-terminal again that none had open.
const HUNG_UP_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A pseudo-terminal and the caller's own streams that it is connected to.
#[derive(Debug)]
pub struct Terminal<'fd> {
    controller: OwnedFd,
    input: Option<BorrowedFd<'fd>>,
    output: BorrowedFd<'fd>,
    /// Typed, but not yet taken by the pseudo-terminal.
    typed: Vec<u8>,
    /// No program has the pseudo-terminal open. One may open it again, of which nothing tells.
    hung_up: bool,
}

impl<'fd> Terminal<'fd> {
    /// Connects `controller` with the streams of the caller.
    pub fn new(
        controller: OwnedFd,
        input: BorrowedFd<'fd>,
        output: BorrowedFd<'fd>,
    ) -> Result<Self> {
        // A program that does not read must not keep us from passing on its output.
        fcntl_getfl(&controller)
            .and_then(|flags| fcntl_setfl(&controller, flags | OFlags::NONBLOCK))
            .map_err(|errno| failure("fcntl", errno))?;
        let terminal =
            Self { controller, input: Some(input), output, typed: Vec::new(), hung_up: false };
        terminal.resize();
        Ok(terminal)
    }

    /// Takes over the size of the caller's terminal; where it has none, the size stays.
    fn resize(&self) {
        if let Some(size) = self.input.and_then(|input| window_size(input).ok()) {
            size.apply(&self.controller).unwrap_or_default();
        }
    }

    /// Moves what can be moved without waiting.
    fn serve(&mut self, ready: &Ready) -> Result<()> {
        if ready.typed {
            self.take_input()?;
        }
        if !self.typed.is_empty() {
            self.pass_typed()?;
        }
        if ready.output || self.hung_up {
            self.pass_output()?;
        }
        Ok(())
    }

    /// Passes what was typed to the programs; at the end of input there is no more to pass.
    fn take_input(&mut self) -> Result<()> {
        let Some(input) = self.input else { return Ok(()) };
        let mut buffer = [0; 4096];
        match read(input, &mut buffer) {
            Ok(0) => self.input = None,
            Ok(count) => self.typed.extend_from_slice(&buffer[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::IO) => self.input = None,
            Err(errno) => return Err(failure("read", errno)),
        }
        Ok(())
    }

    fn pass_typed(&mut self) -> Result<()> {
        match write(&self.controller, &self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // No program has the terminal open any more.
            Err(Errno::IO) => self.typed.clear(),
            Err(errno) => return Err(failure("write", errno)),
        }
        Ok(())
    }

    /// Passes on one portion of output. Was there one?
    fn pass_output(&mut self) -> Result<bool> {
        let mut buffer = [0; 16384];
        let result = read(&self.controller, &mut buffer);
        self.hung_up = matches!(result, Ok(0) | Err(Errno::IO));
        let count = match result {
            Ok(0) | Err(Errno::IO | Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => return Ok(true),
            Ok(count) => count,
            Err(errno) => return Err(failure("read", errno)),
        };
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            match write(self.output, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for(self.output, PollFlags::OUT)?,
                // Nobody reads the output: it is dropped, as a closed terminal would.
                Err(Errno::PIPE | Errno::IO) => break,
                Err(errno) => return Err(failure("write", errno)),
            }
        }
        Ok(true)
    }
}

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
            let ready = self.wait_ready(terminal.as_ref())?;
            if ready.signal {
                self.forward_signals(terminal.as_ref())?;
                self.orphans.reap(self.pid)?;
            }
            if let Some(terminal) = &mut terminal {
                terminal.serve(&ready)?;
            }
            if ready.ended {
                // What it wrote last may still be in the terminal.
                while terminal.as_mut().map_or(Ok(false), Terminal::pass_output)? {}
                return self.pidfd.wait();
            }
        }
    }

    fn wait_ready(&self, terminal: Option<&Terminal<'_>>) -> Result<Ready> {
        let mut fds =
            vec![PollFd::new(self.pidfd, PollFlags::IN), PollFd::new(self.signals, PollFlags::IN)];
        let (mut controller, mut typed) = (None, None);
        let mut timeout = None;
        if let Some(terminal) = terminal {
            // Nothing more is read while the last portion waits.
            if let Some(input) = terminal.input.as_ref().filter(|_| terminal.typed.is_empty()) {
                typed = Some(fds.len());
                fds.push(PollFd::new(input, PollFlags::IN));
            }
            if terminal.hung_up {
                // It would be ready all the time, with nothing to say.
                timeout = Some(HUNG_UP_INTERVAL);
            } else {
                let pending =
                    if terminal.typed.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
                controller = Some(fds.len());
                fds.push(PollFd::new(&terminal.controller, PollFlags::IN | pending));
            }
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failure("poll", errno)),
        }
        let happened = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready {
            ended: happened(0),
            signal: happened(1),
            output: controller.is_some_and(happened),
            typed: typed.is_some_and(happened),
        })
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

/// What happened.
#[derive(Default)]
struct Ready {
    ended: bool,
    signal: bool,
    typed: bool,
    output: bool,
}

fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags) -> Result<()> {
    match poll(&mut [PollFd::new(&fd, flags)], None::<&Timespec>) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(failure("poll", errno)),
    }
}

fn failure(call: &'static str, errno: Errno) -> Error {
    Error::syscall("cannot serve the process in the foreground", call, "", errno)
}
