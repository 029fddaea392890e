//! How a container is to be created.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use coracle_spec::{Bundle, ContainerId};

use crate::create::Creation;
use crate::options::{Options, option_methods};
use crate::{Created, DeniedCalls, Result, Running, Store};

/// Everything about a new container that its bundle does not say.
#[derive(Debug)]
pub struct ContainerBuilder {
    pub(crate) id: ContainerId,
    pub(crate) bundle: Bundle,
    pub(crate) options: Options,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) rootless: Rootless,
    pub(crate) systemd: bool,
    pub(crate) notify: Option<OsString>,
    pub(crate) activation: Option<Activation>,
    pub(crate) denied: Option<DeniedCalls>,
}

/// Sockets on which the host already listens for the container.
#[derive(Debug)]
pub(crate) struct Activation {
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) names: Option<String>,
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

impl Rootless {
    pub(crate) fn is_so(self) -> bool {
        match self {
            Self::Yes => true,
            Self::No => false,
            Self::Auto => !rustix::process::geteuid().is_root() || in_user_namespace(),
        }
    }
}

/// The initial user namespace maps every id onto itself.
pub(crate) fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let initial = ["0", "0", "4294967295"];
    !map.is_empty() && !map.split_ascii_whitespace().eq(initial)
}

impl ContainerBuilder {
    /// A container `id` from `bundle`.
    pub fn new(id: &str, bundle: Bundle) -> Result<Self> {
        Ok(Self {
            id: ContainerId::parse(id)?,
            bundle,
            options: Options::default(),
            no_pivot: false,
            no_new_keyring: false,
            rootless: Rootless::default(),
            systemd: false,
            notify: None,
            activation: None,
            denied: None,
        })
    }

    option_methods!();

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

    /// Has systemd make the cgroup, as a transient unit: that of the system or, without root's rights, of the
    /// user. The specification's `cgroupsPath` is then `slice:prefix:name`, and annotations
    /// `org.systemd.property.*` set properties of the unit.
    #[must_use]
    pub fn systemd_cgroup(mut self, yes: bool) -> Self {
        self.systemd = yes;
        self
    }

    /// Lets the container report when its service is ready (sd_notify(3)): with a directory at `/run/notify`
    /// and `NOTIFY_SOCKET` in its environment. `manager` is the value that the host's service manager gave
    /// this variable. Who starts the container passes the word on: with [`Running::take_notify_proxy`], or
    /// with [`Container::notify_proxy`](crate::Container::notify_proxy) after [`create`](Self::create).
    #[must_use]
    pub fn notify(mut self, manager: impl Into<OsString>) -> Self {
        self.notify = Some(manager.into());
        self
    }

    /// Passes on sockets on which somebody already listens (sd_listen_fds(3)): the container finds them from
    /// number 3 on, before any [preserved](Self::preserve) descriptors, and their count and names in its
    /// environment.
    #[must_use]
    pub fn socket_activation(
        mut self,
        sockets: impl IntoIterator<Item = OwnedFd>,
        names: Option<String>,
    ) -> Self {
        self.activation = Some(Activation { sockets: sockets.into_iter().collect(), names });
        self
    }

    /// Records in `calls` what the seccomp filter would deny, and lets it pass, as long as this process
    /// lives. **This makes the container less confined.** Nothing is recorded of sendmsg(2), of architectures
    /// that the profile does not list, and of what is [executed](crate::Container::exec) later.
    #[must_use]
    pub fn record_denied(mut self, calls: DeniedCalls) -> Self {
        self.denied = Some(calls);
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
