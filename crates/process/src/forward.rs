//! Standing in for a child in the foreground: signals and terminal pass through until it ends.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};

use crate::{Error, ExitStatus, PidFd, Result, Signal, SignalFd, window_size};

/// A pseudo-terminal and the caller's own streams that it is connected to.
#[derive(Debug)]
pub struct Terminal<'fd> {
    controller: OwnedFd,
    input: Option<BorrowedFd<'fd>>,
    output: BorrowedFd<'fd>,
    /// Typed, but not yet taken by the pseudo-terminal.
    typed: Vec<u8>,
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
        let terminal = Self { controller, input: Some(input), output, typed: Vec::new() };
        terminal.resize();
        Ok(terminal)
    }

    /// Takes over the size of the caller's terminal; where it has none, the size stays.
    fn resize(&self) {
        if let Some(size) = self.input.and_then(|input| window_size(input).ok()) {
            size.apply(&self.controller).unwrap_or_default();
        }
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
    fn pass_output(&self) -> Result<bool> {
        let mut buffer = [0; 16384];
        let count = match read(&self.controller, &mut buffer) {
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

/// Waits for the end of a child, passes `signals` on to it and serves its `terminal`.
///
/// This ends when the child does; the caller has decided to wait for it.
pub fn attend(
    child: &PidFd,
    signals: &SignalFd,
    mut terminal: Option<Terminal<'_>>,
) -> Result<ExitStatus> {
    loop {
        let ready = wait_ready(child, signals, terminal.as_ref())?;
        if ready.signal {
            forward_signals(child, signals, terminal.as_ref())?;
        }
        if let Some(terminal) = &mut terminal {
            if ready.typed {
                terminal.take_input()?;
            }
            if !terminal.typed.is_empty() {
                terminal.pass_typed()?;
            }
            if ready.output {
                terminal.pass_output()?;
            }
        }
        if ready.ended {
            // What it wrote last may still be in the terminal.
            while terminal.as_ref().map_or(Ok(false), Terminal::pass_output)? {}
            return child.wait();
        }
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

fn wait_ready(child: &PidFd, signals: &SignalFd, terminal: Option<&Terminal<'_>>) -> Result<Ready> {
    let mut fds = vec![PollFd::new(child, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
    let mut with_input = false;
    if let Some(terminal) = terminal {
        let pending = if terminal.typed.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        fds.push(PollFd::new(&terminal.controller, PollFlags::IN | pending));
        // Nothing more is read while the last portion waits.
        if let Some(input) = terminal.input.as_ref().filter(|_| terminal.typed.is_empty()) {
            fds.push(PollFd::new(input, PollFlags::IN));
            with_input = true;
        }
    }
    match poll(&mut fds, None::<&Timespec>) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(failure("poll", errno)),
    }
    let happened = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
    Ok(Ready {
        ended: happened(0),
        signal: happened(1),
        output: happened(2),
        typed: with_input && happened(3),
    })
}

fn forward_signals(
    child: &PidFd,
    signals: &SignalFd,
    terminal: Option<&Terminal<'_>>,
) -> Result<()> {
    while let Some(signal) = signals.next()? {
        match signal {
            Signal::WINDOW if terminal.is_some() => terminal.into_iter().for_each(Terminal::resize),
            // They concern this process: its children, its sockets.
            Signal::CHILD | Signal::URGENT => {}
            signal => {
                child.signal(signal)?;
            }
        }
    }
    Ok(())
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
