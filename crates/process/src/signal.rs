//! Signals by name and number, blocked and read from a descriptor.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;

use nix::sys::signal::{SigSet, Signal as Named};
use nix::sys::signalfd::{self, SfdFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// A signal, from 1 to 64; see signal(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// Kills, and cannot be caught.
    pub const KILL: Self = Self(Named::SIGKILL as i32);
    /// Asks to end.
    pub const TERM: Self = Self(Named::SIGTERM as i32);
    /// A child changed its state.
    pub const CHILD: Self = Self(Named::SIGCHLD as i32);
    /// The window of the terminal has another size.
    pub const WINDOW: Self = Self(Named::SIGWINCH as i32);
    /// Out-of-band data arrived at a socket.
    pub const URGENT: Self = Self(Named::SIGURG as i32);

    const LAST: i32 = 64;
    const REALTIME: i32 = 34;

    /// The signal with this number.
    pub fn new(number: i32) -> Result<Self> {
        match number {
            1..=Self::LAST => Ok(Self(number)),
            _ => Err(Error::UnknownSignal(number.to_string())),
        }
    }

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }

    /// Does it end a process that does nothing about it? Others are ignored then, or stop the process, or let
    /// it go on; see signal(7).
    pub fn ends(self) -> bool {
        use Named::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
        let others = [SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH];
        !others.iter().any(|other| *other as i32 == self.0)
    }
}

/// A number, or a name with or without `SIG`, in any case; `RTMIN+N` and `RTMAX-N` too.
impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::UnknownSignal(text.to_owned());
        if let Ok(number) = text.parse() {
            return Self::new(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let offset = |text: &str, sign| match text {
            "" => Some(0),
            _ => text
                .strip_prefix(sign)?
                .parse::<i32>()
                .ok()
                .filter(|offset| (0..=30).contains(offset)),
        };
        if let Some(rest) = name.strip_prefix("RTMIN") {
            return offset(rest, '+').map(|n| Self(Self::REALTIME + n)).ok_or_else(unknown);
        }
        if let Some(rest) = name.strip_prefix("RTMAX") {
            return offset(rest, '-').map(|n| Self(Self::LAST - n)).ok_or_else(unknown);
        }
        let name = match name {
            "IOT" => "ABRT",
            "CLD" => "CHLD",
            "POLL" => "IO",
            "UNUSED" => "SYS",
            name => name,
        };
        Named::from_str(&format!("SIG{name}"))
            .map(|signal| Self(signal as i32))
            .map_err(|_| unknown())
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Named::try_from(self.0) {
            Ok(signal) => f.write_str(signal.as_str()),
            Err(_) => write!(f, "SIGRTMIN+{}", self.0 - Self::REALTIME),
        }
    }
}

/// Signals that are held back from the calling thread while this lives, so that a [`SignalFd`] gets them.
#[derive(Debug)]
pub struct BlockedSignals {
    before: SigSet,
    blocked: SigSet,
}

impl BlockedSignals {
    /// Blocks every signal that can be. To be called before the process that they are about is launched.
    pub fn all() -> Result<Self> {
        let blocked = SigSet::all();
        let before = blocked
            .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
            .map_err(|errno| failure("sigprocmask", errno))?;
        Ok(Self { before, blocked })
    }

    /// A descriptor that reads the blocked signals.
    pub fn descriptor(&self) -> Result<SignalFd> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        signalfd::SignalFd::with_flags(&self.blocked, flags)
            .map(SignalFd)
            .map_err(|errno| failure("signalfd", errno))
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // A mask that was read from the kernel is always accepted.
        self.before.thread_set_mask().unwrap_or_default();
    }
}

/// A descriptor of arriving signals; see signalfd(2).
#[derive(Debug)]
pub struct SignalFd(signalfd::SignalFd);

impl SignalFd {
    /// The next signal that has arrived, if any.
    pub fn next(&self) -> Result<Option<Signal>> {
        match self.0.read_signal() {
            Ok(info) => Ok(info.and_then(|info| Signal::new(info.ssi_signo.cast_signed()).ok())),
            Err(errno) => Err(failure("read", errno)),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn failure(call: &'static str, errno: nix::errno::Errno) -> Error {
    let errno = Errno::from_raw_os_error(errno as i32);
    Error::syscall("cannot set up signal handling", call, "", errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("IOT", 6),
            ("64", 64),
        ] {
            assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        }
        for text in ["", "0", "65", "-1", "NOPE", "SIGSIGTERM", "RTMIN+99", "1e1"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
        assert_eq!(Signal(37).to_string(), "SIGRTMIN+3");
    }

    #[test]
    fn some_end_a_process_and_some_do_not() {
        for (name, ends) in
            [("TERM", true), ("HUP", true), ("RTMIN", true), ("WINCH", false), ("TSTP", false)]
        {
            assert_eq!(name.parse::<Signal>().unwrap().ends(), ends, "{name}");
        }
    }
}
