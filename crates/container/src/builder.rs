//! How a container is to be created.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use coracle_process::{WindowSize, window_size};
use coracle_spec::{Bundle, ContainerId};

use crate::create::Creation;
use crate::{Created, InitExe, Result, Running, Store};

/// Everything about a new container that its bundle does not say.
#[derive(Debug)]
pub struct ContainerBuilder {
    pub(crate) id: ContainerId,
    pub(crate) bundle: Bundle,
    pub(crate) init: InitExe,
    pub(crate) stdio: Stdio,
    pub(crate) console_socket: Option<PathBuf>,
    pub(crate) window_size: Option<WindowSize>,
    pub(crate) pidfd_socket: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) detached: bool,
    pub(crate) preserved: Vec<OwnedFd>,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) rootless: Rootless,
}

/// Whether the caller counts as one without root's rights, who gets along with fewer limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rootless {
    /// If it is not root, or root of a user namespace only.
    #[default]
    Auto,
    /// Yes.
    Yes,
    /// No: whatever is refused is an error.
    No,
}

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
    pub(crate) fn resolve(self) -> Result<[OwnedFd; 3]> {
        fn own(given: Option<OwnedFd>, default: impl AsFd) -> Result<OwnedFd> {
            let copy = || default.as_fd().try_clone_to_owned();
            given
                .map_or_else(copy, Ok)
                .map_err(|error| crate::Error::file("duplicate", "a standard stream", error))
        }
        Ok([
            own(self.input, std::io::stdin())?,
            own(self.output, std::io::stdout())?,
            own(self.error, std::io::stderr())?,
        ])
    }
}

impl ContainerBuilder {
    /// A container `id` from `bundle`.
    pub fn new(id: &str, bundle: Bundle) -> Result<Self> {
        Ok(Self {
            id: ContainerId::parse(id)?,
            bundle,
            init: InitExe::default(),
            stdio: Stdio::default(),
            console_socket: None,
            window_size: None,
            pidfd_socket: None,
            pid_file: None,
            detached: false,
            preserved: Vec::new(),
            no_pivot: false,
            no_new_keyring: false,
            rootless: Rootless::default(),
        })
    }

    /// Takes the init program from elsewhere.
    #[must_use]
    pub fn init_exe(mut self, init: InitExe) -> Self {
        self.init = init;
        self
    }

    /// Gives the container other standard streams than the caller's.
    #[must_use]
    pub fn stdio(mut self, stdio: Stdio) -> Self {
        self.stdio = stdio;
        self
    }

    /// Sends the container's terminal to whoever listens at the Unix socket `path`.
    #[must_use]
    pub fn console_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.console_socket = Some(path.into());
        self
    }

    /// The container's terminal will be shown at `terminal`, if that is one: it has its size from the
    /// beginning.
    pub fn sized_as(mut self, terminal: impl AsFd) -> Result<Self> {
        let is_terminal = rustix::termios::isatty(&terminal);
        self.window_size = is_terminal.then(|| window_size(terminal)).transpose()?;
        Ok(self)
    }

    /// Sends a pidfd of the first process to whoever listens at the Unix socket `path`.
    #[must_use]
    pub fn pidfd_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.pidfd_socket = Some(path.into());
        self
    }

    /// Nobody will serve the container's terminal here: [`run`](Self::run) needs a console socket for it.
    #[must_use]
    pub fn detached(mut self, yes: bool) -> Self {
        self.detached = yes;
        self
    }

    /// Writes the number of the first process to `path`.
    #[must_use]
    pub fn pid_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pid_file = Some(path.into());
        self
    }

    /// Passes on descriptors, which the container finds from number 3 on.
    #[must_use]
    pub fn preserve(mut self, descriptors: impl IntoIterator<Item = OwnedFd>) -> Self {
        self.preserved.extend(descriptors);
        self
    }

    /// Changes the root of the process only, for hosts whose root cannot be exchanged, as a ramdisk.
    #[must_use]
    pub fn no_pivot(mut self, yes: bool) -> Self {
        self.no_pivot = yes;
        self
    }

    /// Leaves the container in the caller's session keyring.
    #[must_use]
    pub fn no_new_keyring(mut self, yes: bool) -> Self {
        self.no_new_keyring = yes;
        self
    }

    /// Decides whether the caller has root's rights.
    #[must_use]
    pub fn rootless(mut self, rootless: Rootless) -> Self {
        self.rootless = rootless;
        self
    }

    /// Creates the container: all is done but the execution of its command.
    ///
    /// A terminal that the specification asks for goes to the [console socket](Self::console_socket).
    pub fn create(self, store: &Store) -> Result<Created> {
        Creation::begin(self.detached(true), store)?.create()
    }

    /// Creates the container and starts it at once, as a child of the caller.
    ///
    /// A terminal that the specification asks for goes to the [console socket](Self::console_socket) or, if
    /// there is none, to [`Running::take_terminal`].
    pub fn run(self, store: &Store) -> Result<Running> {
        Creation::begin(self, store)?.run()
    }
}
