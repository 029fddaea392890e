//! Pseudo-terminals; see pty(7).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, OutputModes, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How many characters a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

impl WindowSize {
    /// Gives the terminal this size; its foreground process group gets SIGWINCH if it changed.
    pub fn apply(self, terminal: impl AsFd) -> Result<()> {
        let size = Winsize { ws_row: self.rows, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(terminal, size).map_err(|errno| failure("TIOCSWINSZ", errno))
    }
}

/// The size of a terminal.
pub fn window_size(terminal: impl AsFd) -> Result<WindowSize> {
    let size = tcgetwinsize(terminal).map_err(|errno| failure("TIOCGWINSZ", errno))?;
    Ok(WindowSize { rows: size.ws_row, columns: size.ws_col })
}

/// A new pseudo-terminal: who holds `controller` is the terminal for the programs that use `user`.
#[derive(Debug)]
pub struct Pty {
    /// The side of the terminal emulator.
    pub controller: OwnedFd,
    /// The side of the programs.
    pub user: OwnedFd,
    /// The path of the user side in its devpts, as `/dev/pts/0`.
    pub name: String,
}

impl Pty {
    /// Opens a pseudo-terminal of the devpts instance mounted at `devpts`.
    ///
    /// The user side is asked from the controller and not looked up by path, so that nobody can put
    /// something else in its place. Linux 4.13.
    pub fn open_in(devpts: impl AsFd) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let controller = openat(devpts, "ptmx", flags, Mode::empty())
            .map_err(|errno| failure("open ptmx", errno))?;
        unlockpt(&controller).map_err(|errno| failure("TIOCSPTLCK", errno))?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let user =
            ioctl_tiocgptpeer(&controller, flags).map_err(|errno| failure("TIOCGPTPEER", errno))?;
        let name = ptsname(&controller, Vec::new()).map_err(|errno| failure("TIOCGPTN", errno))?;
        Ok(Self { controller, user, name: name.to_string_lossy().into_owned() })
    }
}

/// A terminal in raw mode for as long as this lives: what is typed passes through unchanged.
#[derive(Debug)]
pub struct RawMode<'fd> {
    terminal: BorrowedFd<'fd>,
    before: Termios,
}

impl<'fd> RawMode<'fd> {
    /// Switches `terminal` to raw mode.
    pub fn enter(terminal: BorrowedFd<'fd>) -> Result<Self> {
        let before = tcgetattr(terminal).map_err(|errno| failure("tcgetattr", errno))?;
        let mut raw = before.clone();
        raw.make_raw();
        // But it goes on turning newlines of what it shows, which the inner terminal leaves alone.
        raw.output_modes.insert(OutputModes::OPOST);
        tcsetattr(terminal, OptionalActions::Now, &raw)
            .map_err(|errno| failure("tcsetattr", errno))?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        // A terminal that hung up meanwhile needs no restoring.
        tcsetattr(self.terminal, OptionalActions::Now, &self.before).unwrap_or_default();
    }
}

/// Stops the terminal from turning each newline of its programs into two characters.
///
/// Whoever captures the output wants the bytes as written; a real terminal behind it does its own turning.
pub fn keep_newlines(terminal: impl AsFd) -> Result<()> {
    let mut modes = tcgetattr(&terminal).map_err(|errno| failure("tcgetattr", errno))?;
    modes.output_modes.remove(OutputModes::ONLCR);
    tcsetattr(&terminal, OptionalActions::Now, &modes).map_err(|errno| failure("tcsetattr", errno))
}

fn failure(call: &'static str, errno: Errno) -> Error {
    Error::syscall("cannot set up the terminal", call, "", errno)
}
