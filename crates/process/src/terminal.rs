//! A pseudo-terminal shown on the caller's own: what is typed and printed passes through.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};

use crate::{Error, Result, Signal, SignalFd, window_size};

/// How often to look whether a program has opened a pseudo-terminal again that none had open.
const HUNG_UP_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// As much as any pipe takes at once if it takes anything.
const PORTION: usize = 4096;

/// A pseudo-terminal and the caller's own streams that it is connected to.
#[derive(Debug)]
pub struct Terminal<'fd> {
    controller: OwnedFd,
    /// Missing when there is nothing more to read.
    input: Option<BorrowedFd<'fd>>,
    output: BorrowedFd<'fd>,
    /// Whose size the pseudo-terminal has.
    window: BorrowedFd<'fd>,
    /// Typed, but not yet taken by the pseudo-terminal.
    typed: Vec<u8>,
    /// Printed, but not yet taken by the output.
    printed: Vec<u8>,
    /// No program has the pseudo-terminal open. One may open it again, of which nothing tells.
    hung_up: bool,
}

/// A descriptor and what it is polled for.
type Interest<'a> = Option<(BorrowedFd<'a>, PollFlags)>;

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
        let window = if window_size(input).is_ok() { input } else { output };
        let (input, typed, printed) = (Some(input), Vec::new(), Vec::new());
        let terminal = Self { controller, input, output, window, typed, printed, hung_up: false };
        terminal.resize();
        Ok(terminal)
    }

    /// The same terminal, but the caller's input is left alone.
    #[must_use]
    pub fn without_input(mut self) -> Self {
        self.input = None;
        self
    }

    /// Serves the terminal for programs that are not children of the caller: until none has it open any
    /// more, or until a signal arrives that [ends](Signal::ends) whoever does nothing about it; that one is
    /// returned.
    ///
    /// There is no limit in time: it is the programs' choice, or that of who can send a signal.
    pub fn attend(mut self, signals: &SignalFd) -> Result<Option<Signal>> {
        while !(self.hung_up && self.printed.is_empty()) {
            let [arrived] = wait([signals.as_fd()], Some(&mut self))?;
            while let Some(signal) = arrived.then(|| signals.next()).transpose()?.flatten() {
                match signal {
                    Signal::WINDOW => self.resize(),
                    signal if signal.ends() => return Ok(Some(signal)),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// Takes over the size of the caller's terminal; where it has none, the size stays.
    pub(crate) fn resize(&self) {
        if let Ok(size) = window_size(self.window) {
            size.apply(&self.controller).unwrap_or_default();
        }
    }

    /// Passes on all that was printed so far.
    pub(crate) fn drain(&mut self) -> Result<()> {
        while !self.printed.is_empty() || self.take_output()? {
            poll_for(&mut [PollFd::new(&self.output, PollFlags::OUT)], None)?;
            self.pass_printed()?;
        }
        Ok(())
    }

    /// What input, pseudo-terminal and output are waited for. Nothing more is read while the last portion
    /// waits.
    fn interests(&self) -> [Interest<'_>; 3] {
        let input = self.input.filter(|_| self.typed.is_empty());
        let when = |flags, condition| if condition { flags } else { PollFlags::empty() };
        let controller = when(PollFlags::IN, self.printed.is_empty())
            | when(PollFlags::OUT, !self.typed.is_empty());
        // One that hung up would be ready all the time, with nothing to say.
        let controller = when(controller, !self.hung_up);
        [
            input.map(|input| (input, PollFlags::IN)),
            (!controller.is_empty()).then_some((self.controller.as_fd(), controller)),
            (!self.printed.is_empty()).then_some((self.output, PollFlags::OUT)),
        ]
    }

    /// Moves what can be moved without waiting; `ready` are those of the interests.
    fn serve(&mut self, [input, controller, output]: [bool; 3]) -> Result<()> {
        if input {
            self.take_input()?;
        }
        if !self.typed.is_empty() {
            self.pass_typed()?;
        }
        if output {
            self.pass_printed()?;
        }
        if self.printed.is_empty() && (controller || self.hung_up) {
            self.take_output()?;
        }
        Ok(())
    }

    /// Takes what was typed; at the end of input there is no more.
    fn take_input(&mut self) -> Result<()> {
        let Some(input) = self.input else { return Ok(()) };
        let mut buffer = [0; PORTION];
        match read(input, &mut buffer) {
            Ok(0) | Err(Errno::IO) => self.input = None,
            Ok(count) => self.typed.extend_from_slice(&buffer[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
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

    /// Takes one portion of what was printed. Was there one?
    fn take_output(&mut self) -> Result<bool> {
        let mut buffer = [0; PORTION];
        loop {
            let result = read(&self.controller, &mut buffer);
            self.hung_up = matches!(result, Ok(0) | Err(Errno::IO));
            match result {
                Ok(0) | Err(Errno::IO | Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Ok(count) => {
                    self.printed.extend_from_slice(&buffer[..count]);
                    return Ok(true);
                }
                Err(errno) => return Err(failure("read", errno)),
            }
        }
    }

    fn pass_printed(&mut self) -> Result<()> {
        match write(self.output, &self.printed) {
            Ok(count) => drop(self.printed.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody reads the output: it is dropped, as a closed terminal would.
            Err(Errno::PIPE | Errno::IO) => self.printed.clear(),
            Err(errno) => return Err(failure("write", errno)),
        }
        Ok(())
    }
}

/// Waits until something happens, and serves the terminal if it is there. Which of the others are ready?
pub(crate) fn wait<const N: usize>(
    others: [BorrowedFd<'_>; N],
    terminal: Option<&mut Terminal<'_>>,
) -> Result<[bool; N]> {
    let interests = terminal.as_ref().map_or([None; 3], |terminal| terminal.interests());
    let mut fds: Vec<_> = others.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    fds.extend(interests.iter().flatten().map(|(fd, flags)| PollFd::new(fd, *flags)));
    let hung_up = terminal.as_ref().is_some_and(|terminal| terminal.hung_up);
    poll_for(&mut fds, hung_up.then_some(&HUNG_UP_INTERVAL))?;
    let mut happened = fds.iter().map(|fd| !fd.revents().is_empty());
    let mut next = || happened.next().unwrap_or_default();
    let ready = others.map(|_| next());
    let served = interests.map(|interest| interest.is_some() && next());
    drop(fds);
    terminal.map_or(Ok(()), |terminal| terminal.serve(served))?;
    Ok(ready)
}

fn poll_for(fds: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> Result<()> {
    match poll(fds, timeout) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(failure("poll", errno)),
    }
}

fn failure(call: &'static str, errno: Errno) -> Error {
    Error::syscall("cannot serve the terminal", call, "", errno)
}
