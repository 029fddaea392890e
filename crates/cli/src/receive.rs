//! Receiving terminals at a console socket: to show one here, or to read many for nobody.

use std::os::fd::{AsFd, OwnedFd};

use coracle::{ConsoleConnection, ConsoleListener, Signal};
use coracle_process::{RawMode, SignalFd, Terminal, keep_newlines};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};

use crate::error::{Failure, Result};
use crate::log::Log;

/// Shows the first terminal that comes on the caller's, until it hangs up or a signal comes.
pub fn show(
    signals: &SignalFd,
    listener: ConsoleListener,
    no_input: bool,
) -> Result<Option<Signal>> {
    if let Some(signal) = wait_for(&listener, signals)? {
        return Ok(Some(signal));
    }
    let sender = listener.accept()?;
    // There is only one terminal to show it on: somebody else can listen now.
    drop(listener);
    if let Some(signal) = wait_for(&sender, signals)? {
        return Ok(Some(signal));
    }
    let controller = sender.receive()?;
    // The terminal outside does its own turning of newlines, and a file wants none.
    keep_newlines(&controller)?;
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let takes_input = !no_input && is_ours(&input);
    let is_terminal = takes_input && rustix::termios::isatty(&input);
    let _raw = is_terminal.then(|| RawMode::enter(input.as_fd())).transpose()?;
    let terminal = Terminal::new(controller, input.as_fd(), output.as_fd())?;
    let terminal = if takes_input { terminal } else { terminal.without_input() };
    Ok(terminal.attend(signals)?)
}

/// Is what is typed for us? Not from a terminal whose shell has put us in the background.
fn is_ours(input: impl AsFd) -> bool {
    let foreground = rustix::termios::tcgetpgrp(input);
    !foreground.is_ok_and(|group| group != rustix::process::getpgrp())
}

/// Waits until the descriptor is readable; a signal that ends us is returned instead.
fn wait_for(descriptor: impl AsFd, signals: &SignalFd) -> Result<Option<Signal>> {
    loop {
        let mut fds = [descriptor.as_fd(), signals.as_fd()]
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        wait(&mut fds)?;
        let readable = !fds[0].revents().is_empty();
        if let Some(signal) = ending(signals)? {
            return Ok(Some(signal));
        }
        if readable {
            return Ok(None);
        }
    }
}

fn wait(fds: &mut [PollFd<'_>]) -> Result<()> {
    match poll(fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(Failure::new(format!("cannot wait for a terminal: {errno}"))),
    }
}

/// The next signal that ends us, if one has come.
pub fn ending(signals: &SignalFd) -> Result<Option<Signal>> {
    while let Some(signal) = signals.next()? {
        if signal.ends() {
            return Ok(Some(signal));
        }
    }
    Ok(None)
}

/// Receives any number of terminals, and reads what is printed there for nobody.
#[derive(Debug)]
pub struct Sink {
    signals: SignalFd,
    listener: ConsoleListener,
    senders: Vec<ConsoleConnection>,
    terminals: Vec<OwnedFd>,
}

impl Sink {
    /// A sink that receives at `listener`.
    pub fn new(signals: SignalFd, listener: ConsoleListener) -> Self {
        Self { signals, listener, senders: Vec::new(), terminals: Vec::new() }
    }

    /// Serves until a signal comes that ends us.
    pub fn serve(mut self, log: &Log) -> Result<Option<Signal>> {
        loop {
            let ready = self.wait()?;
            if let Some(signal) = ending(&self.signals)? {
                return Ok(Some(signal));
            }
            let (own, others) = ready.split_at(2);
            let (senders, terminals) = others.split_at(self.senders.len());
            let mut ready = terminals.iter();
            self.terminals
                .retain(|terminal| !ready.next().is_some_and(|it| *it) || drain(terminal));
            for index in (0..senders.len()).rev().filter(|index| senders[*index]) {
                match self.senders.remove(index).receive() {
                    Ok(terminal) => self.terminals.push(terminal),
                    Err(error) => log.warning(&Failure::from(error).to_string()),
                }
            }
            if own[1] {
                self.senders.push(self.listener.accept()?);
            }
        }
    }

    /// Which are ready: signals, listener, senders, terminals?
    fn wait(&self) -> Result<Vec<bool>> {
        let own = [self.signals.as_fd(), self.listener.as_fd()].into_iter();
        let senders = self.senders.iter().map(AsFd::as_fd);
        let all = own.chain(senders).chain(self.terminals.iter().map(AsFd::as_fd));
        let mut fds: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        wait(&mut fds)?;
        Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect())
    }
}

/// Reads a portion. Can there be more? Not when no program has the terminal open any more.
fn drain(terminal: &OwnedFd) -> bool {
    let mut buffer = [0; 4096];
    matches!(read(terminal, &mut buffer), Ok(1..) | Err(Errno::INTR | Errno::AGAIN))
}
