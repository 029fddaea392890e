//! What can go wrong with containers.

use std::path::PathBuf;

use coracle_init::InitError;
use coracle_init::wire::WireError;

use crate::Status;

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a container that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No container has this id.
    #[error("container {0:?} does not exist")]
    NotFound(String),
    /// A container has this id already.
    #[error("container {0:?} already exists: delete it or take another id")]
    AlreadyExists(String),
    /// The container is in a state that does not allow the operation.
    #[error("cannot {operation} container {id:?}: it is {status}{}", .hint.map(|hint| format!(": {hint}")).unwrap_or_default())]
    WrongState {
        /// Which.
        id: String,
        /// What was to be done.
        operation: &'static str,
        /// What it is.
        status: Status,
        /// What the user can do.
        hint: Option<&'static str>,
    },
    /// A signal for a container whose process has ended.
    #[error("container not running")]
    NotRunning,
    /// The bundle or its specification is not valid.
    #[error(transparent)]
    Bundle(#[from] coracle_spec::Error),
    /// The specification asks for something that cannot be.
    #[error("{pointer}: {message}")]
    Spec {
        /// The field.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// An option of the caller that does not fit the specification.
    #[error("{0}")]
    Usage(&'static str),
    /// A hook failed.
    #[error("{name}")]
    Hook {
        /// Which, as `/hooks/prestart/0 (/usr/bin/hook)`.
        name: String,
        /// How, with what it wrote.
        source: coracle_process::Error,
    },
    /// A creation failed, and something besides when it was taken back.
    #[error("{source}")]
    Undone {
        /// Why it failed.
        source: Box<Error>,
        /// What failed then, as hooks of the end.
        warnings: Vec<String>,
    },
    /// The container's first process could not do a step.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The init program could not be started or ended without a word.
    #[error("cannot start the init program: {0}")]
    Launch(String),
    /// The conversation with the init program broke down.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A cgroup cannot be made, limited or removed.
    #[error(transparent)]
    Cgroup(#[from] coracle_cgroup::Error),
    /// A process cannot be reached.
    #[error(transparent)]
    Process(#[from] coracle_process::Error),
    /// A class of service cannot be had.
    #[error(transparent)]
    Rdt(#[from] coracle_rdt::Error),
    /// A namespace to be joined does not open.
    #[error(transparent)]
    Namespace(#[from] coracle_ns::Error),
    /// A network device cannot be moved or set up.
    #[error(transparent)]
    Network(#[from] coracle_net::Error),
    /// Capabilities cannot be read.
    #[error(transparent)]
    Capabilities(#[from] coracle_caps::Error),
    /// A file of the state directory, or one that the caller named, fails.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// As "write".
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A state file that cannot be understood.
    #[error("the state of container {id:?} is damaged ({reason}): delete it with --force")]
    Damaged {
        /// Which.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// Something did not happen in time.
    #[error("timed out {0}")]
    Timeout(&'static str),
}

/// What sort of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such container.
    NotFound,
    /// There is such a container already.
    AlreadyExists,
    /// The bundle, its specification or an option is not valid.
    InvalidSpec,
    /// The container's state does not allow it.
    WrongState,
    /// The caller may not do that.
    Denied,
    /// The kernel or the host refuses for another reason.
    Kernel,
}

impl Error {
    /// What sort of failure it is, for exit codes and the codes of other protocols.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Undone { source, .. } => source.kind(),
            Self::AlreadyExists(_) => ErrorKind::AlreadyExists,
            Self::WrongState { .. } | Self::NotRunning => ErrorKind::WrongState,
            Self::Bundle(_) | Self::Spec { .. } | Self::Usage(_) => ErrorKind::InvalidSpec,
            Self::Init(error) if denied(error.errno) => ErrorKind::Denied,
            Self::File { source, .. } if denied(source.raw_os_error()) => ErrorKind::Denied,
            _ => ErrorKind::Kernel,
        }
    }

    /// The message with its causes, from the general to the particular.
    pub(crate) fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    pub(crate) fn file(
        operation: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::File { operation, path: path.into(), source: source.into() }
    }
}

fn denied(errno: Option<i32>) -> bool {
    let denied = [rustix::io::Errno::PERM, rustix::io::Errno::ACCESS];
    denied.iter().any(|denied| errno == Some(denied.raw_os_error()))
}
