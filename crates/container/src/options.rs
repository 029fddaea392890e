//! What the builders of containers and of processes in them have in common.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use coracle_init::plan::ProcessPlan;
use coracle_process::{WindowSize, keep_newlines};

use crate::console::DescriptorSocket;
use crate::launch::{Handover, Init};
use crate::store::write_atomically;
use crate::{Error, InitExe, Result};

/// Standard input, output and error of the container.
#[derive(Debug, Default)]
pub struct Stdio {
    /// Standard input; the caller's if nothing is given.
    pub input: Option<OwnedFd>,
    /// Standard output; the caller's if nothing is given.
    pub output: Option<OwnedFd>,
    /// Standard error; the caller's if nothing is given.
    pub error: Option<OwnedFd>,
}

impl Stdio {
    /// The three, as descriptors of their own.
    fn resolve(self) -> Result<[OwnedFd; 3]> {
        fn own(given: Option<OwnedFd>, default: impl AsFd) -> Result<OwnedFd> {
            let copy = || default.as_fd().try_clone_to_owned();
            given
                .map_or_else(copy, Ok)
                .map_err(|error| Error::file("duplicate", "a standard stream", error))
        }
        Ok([
            own(self.input, std::io::stdin())?,
            own(self.output, std::io::stdout())?,
            own(self.error, std::io::stderr())?,
        ])
    }
}

/// How a process is connected with its caller.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) init: InitExe,
    pub(crate) stdio: Stdio,
    pub(crate) console_socket: Option<PathBuf>,
    pub(crate) window_size: Option<WindowSize>,
    pub(crate) pidfd_socket: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) detached: bool,
    pub(crate) preserved: Vec<OwnedFd>,
}

/// The methods of a builder with a field `options`.
macro_rules! option_methods {
    () => {
        /// Takes the init program from elsewhere.
        #[must_use]
        pub fn init_exe(mut self, init: crate::InitExe) -> Self {
            self.options.init = init;
            self
        }

        /// Gives the process other standard streams than the caller's.
        #[must_use]
        pub fn stdio(mut self, stdio: crate::Stdio) -> Self {
            self.options.stdio = stdio;
            self
        }

        /// Sends the terminal to whoever listens at the Unix socket `path`.
        #[must_use]
        pub fn console_socket(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.options.console_socket = Some(path.into());
            self
        }

        /// The terminal will be shown at `terminal`, if that is one: it has its size from the beginning.
        pub fn sized_as(mut self, terminal: impl std::os::fd::AsFd) -> crate::Result<Self> {
            let is_terminal = rustix::termios::isatty(&terminal);
            self.options.window_size =
                is_terminal.then(|| coracle_process::window_size(terminal)).transpose()?;
            Ok(self)
        }

        /// Sends a pidfd of the process to whoever listens at the Unix socket `path`.
        #[must_use]
        pub fn pidfd_socket(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.options.pidfd_socket = Some(path.into());
            self
        }

        /// Nobody will serve a terminal here: one needs a console socket.
        #[must_use]
        pub fn detached(mut self, yes: bool) -> Self {
            self.options.detached = yes;
            self
        }

        /// Writes the number of the process to `path`.
        #[must_use]
        pub fn pid_file(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.options.pid_file = Some(path.into());
            self
        }

        /// Passes on descriptors, which the process finds from number 3 on.
        #[must_use]
        pub fn preserve(
            mut self,
            descriptors: impl IntoIterator<Item = std::os::fd::OwnedFd>,
        ) -> Self {
            self.options.preserved.extend(descriptors);
            self
        }
    };
}
pub(crate) use option_methods;

impl Options {
    /// Somebody must take the terminal, and a socket for one must be for something.
    pub(crate) fn check_terminal(&self, terminal: bool) -> Result<()> {
        match (terminal, self.detached, self.console_socket.is_some()) {
            (true, true, false) => Err(Error::Usage(
                "cannot allocate a terminal for a detached container: give --console-socket or \
                 unset /process/terminal",
            )),
            (false, _, true) => Err(Error::Usage(
                "--console-socket is for containers with a terminal: leave it out or set \
                 /process/terminal",
            )),
            (true, false, true) => Err(Error::Usage(
                "--console-socket is for detached containers: leave it out or add --detach",
            )),
            _ => Ok(()),
        }
    }

    /// Hands the streams and the other descriptors over to the process.
    pub(crate) fn hand_over(
        &mut self,
        plan: &mut ProcessPlan,
        handover: &mut Handover,
    ) -> Result<()> {
        if plan.terminal.is_none() {
            let streams = std::mem::take(&mut self.stdio).resolve()?;
            // In the foreground they stay the caller's.
            plan.own_stdio = self.detached;
            plan.stdio = streams.map(|stream| handover.add(stream));
        }
        let preserved = std::mem::take(&mut self.preserved);
        plan.preserved = preserved.into_iter().map(|fd| handover.add(fd)).collect();
        Ok(())
    }
}

/// The sockets that wait for something of the process, connected before there is one.
#[derive(Debug)]
pub(crate) struct Sockets {
    console: Option<DescriptorSocket>,
    pidfd: Option<DescriptorSocket>,
}

/// What it means that nobody accepts.
const HUNG: &str =
    "connecting to the socket of --console-socket or --pidfd-socket: is its listener alive?";

impl Sockets {
    pub(crate) fn connect(options: &Options) -> Result<Self> {
        let connect = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| DescriptorSocket::connect(path, HUNG)).transpose()
        };
        Ok(Self {
            console: connect(&options.console_socket)?,
            pidfd: connect(&options.pidfd_socket)?,
        })
    }

    /// Sends the terminal where it is waited for, or keeps it for the caller.
    pub(crate) fn take_terminal(
        &self,
        (controller, name): (OwnedFd, &str),
        options: &Options,
    ) -> Result<Option<OwnedFd>> {
        if let Some(console) = &self.console {
            return console.send(&controller, name).map(|()| None);
        }
        // Before the command writes its first line.
        keep_newlines(&controller)?;
        options.window_size.map(|size| size.apply(&controller)).transpose()?;
        Ok(Some(controller))
    }

    /// Tells of the process whoever waits for it. `kind` says how it came into the container.
    pub(crate) fn announce(&self, init: &Init, kind: &str, options: &Options) -> Result<()> {
        if let Some(socket) = &self.pidfd {
            socket.send(&init.pidfd, kind)?;
        }
        if let Some(path) = &options.pid_file {
            write_atomically(path, init.pid.to_string().as_bytes(), 0o644)
                .map_err(|error| Error::file("write", path, error))?;
        }
        Ok(())
    }
}
