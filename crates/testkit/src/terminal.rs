//! A person at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::bail;
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::command::wait_readable;
use crate::{Background, Cmd, Output, Result, scaled};

/// A program with a pseudoterminal as its controlling terminal.
#[derive(Debug)]
pub struct TerminalSession {
    controller: File,
    user: OwnedFd,
    program: Background,
    seen: String,
}

impl TerminalSession {
    /// Starts the program on a terminal of this size.
    pub fn start(command: Cmd, rows: u16, columns: u16) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let user = ioctl_tiocgptpeer(&controller, flags)?;
        tcsetwinsize(&controller, size(rows, columns))?;
        let stream = || user.try_clone();
        let command = command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
        let program = command.through(["setsid", "--ctty", "--wait"]).spawn()?;
        Ok(Self { controller: controller.into(), user, program, seen: String::new() })
    }

    /// Types.
    pub fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.controller.write_all(text.as_bytes())?)
    }

    /// Changes the size of the window.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        Ok(tcsetwinsize(&self.controller, size(rows, columns))?)
    }

    /// Is the terminal in raw mode, so that the program gets every key as it is?
    pub fn is_raw(&self) -> Result<bool> {
        Ok(!tcgetattr(&self.user)?.local_modes.contains(rustix::termios::LocalModes::ICANON))
    }

    /// Reads until the text has come; returns all up to its end from where the last call ended.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        loop {
            if let Some(start) = self.seen.find(text) {
                let rest = self.seen.split_off(start + text.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            if !wait_readable(&self.controller, scaled(10))? {
                bail!("{text:?} did not come, only {:?}", self.seen);
            }
            if !read(&mut self.controller, &mut self.seen)? {
                bail!("the terminal closed; {text:?} did not come, only {:?}", self.seen);
            }
        }
    }

    /// Waits for the program's end; how it ended, and what else it printed.
    pub fn finish(self) -> Result<(Output, String)> {
        let Self { mut controller, mut seen, program, .. } = self;
        let output = program.wait()?;
        while wait_readable(&controller, Duration::ZERO)? && read(&mut controller, &mut seen)? {}
        Ok((output, seen))
    }
}

/// Reads what is there; false at the end.
fn read(controller: &mut File, seen: &mut String) -> Result<bool> {
    let mut buffer = [0; 4096];
    match controller.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) => {
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
            Ok(true)
        }
        // Nobody has the other end open any more.
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
