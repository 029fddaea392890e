//! The child: builds the container around itself and executes its command.
//!
//! The order is the security of it, and types keep it: [`Setup`] builds, [`confine`] consumes what it
//! built, and only what comes out of that can be executed ([`start`]).

mod confine;
mod identity;
mod namespaces;
mod rootfs;
mod session;
mod start;

use std::path::{Path, PathBuf};

use coracle_mount::DetachedMount;
use coracle_process::Channel;
use coracle_sys::Errno;
use coracle_sys::procfs::ProcRoot;

use crate::InitError;
use crate::plan::Plan;
use crate::wire::Descriptors;

/// What the launcher opened for the mounts.
pub(crate) struct Sources {
    /// The root file system.
    pub(crate) root: Source,
    /// For each step of the mounts, what it needs.
    pub(crate) binds: Vec<Vec<Source>>,
}

/// Something of the host to be mounted in the container.
pub(crate) enum Source {
    /// A copy, made with the launcher's rights, which reach further than those of a user namespace.
    Opened(DetachedMount),
    /// To be copied in the container's mount namespace: a launcher without privilege may not.
    Later { path: PathBuf, recursive: bool },
}

impl Source {
    /// Copies what is at `path`, or puts it off if that needs the container's own namespaces.
    pub(crate) fn open(path: &Path, recursive: bool) -> coracle_mount::Result<Self> {
        match DetachedMount::copy_of_path(path, recursive) {
            Err(coracle_mount::Error::Source { source, .. }) if source.errno() == Errno::PERM => {
                Ok(Self::Later { path: path.into(), recursive })
            }
            opened => opened.map(Self::Opened),
        }
    }

    pub(crate) fn into_mount(self) -> coracle_mount::Result<DetachedMount> {
        match self {
            Self::Opened(mount) => Ok(mount),
            Self::Later { path, recursive } => DetachedMount::copy_of_path(path, recursive),
        }
    }
}

/// A container being built.
pub(crate) struct Setup<'launch> {
    pub(crate) plan: &'launch Plan,
    pub(crate) descriptors: Descriptors,
    pub(crate) channel: &'launch Channel,
    pub(crate) proc: &'launch ProcRoot,
}

impl Setup<'_> {
    /// Walks the plan to its end. Returns only if a step fails, or the launcher did.
    pub(crate) fn run(
        mut self,
        sources: Sources,
        released: impl FnOnce() -> bool,
    ) -> Result<(), InitError> {
        self.enter_cgroups()?;
        self.start_session()?;
        if !released() {
            return Ok(());
        }
        self.become_root_of_namespace()?;
        self.setup_namespaces()?;
        let terminal = self.build_root(sources)?;
        self.connect_streams(terminal)?;
        let confined = self.confine()?;
        confined.start()
    }
}
