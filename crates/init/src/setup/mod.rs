//! The child: builds the container around itself and executes its command.
//!
//! The order is the security of it, and types keep it: [`Setup`] builds, [`confine`] consumes what it
//! built, and only what comes out of that can be executed ([`start`]).

mod confine;
mod descriptors;
mod existing;
mod hooks;
mod identity;
mod namespaces;
mod rootfs;
mod session;
mod start;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use coracle_mount::{DetachedMount, MountFlags};
use coracle_process::Channel;
use coracle_sys::Errno;
use coracle_sys::procfs::ProcRoot;

use crate::InitError;
use crate::plan::{Place, Plan};
use crate::wire::{self, Descriptors, ToHost, ToInit, WireError};

pub(crate) use existing::Entrance;
pub(crate) use identity::setgroups_allowed;

/// What the launcher has made ready for the container around the process.
pub(crate) enum Surroundings {
    /// A new one.
    New(Sources),
    /// One that is there.
    Existing(Entrance),
}

/// What is mounted from the host.
pub(crate) struct Sources {
    /// The root file system.
    pub(crate) root: Source,
    /// For each step of the mounts, what it needs.
    pub(crate) binds: Vec<Vec<Source>>,
}

/// Something of the host to be mounted in the container.
///
/// It is copied in the container's mount namespace: if that belongs to another user namespace, the kernel
/// keeps the restrictions of its mounts there. Only what that user may not reach is taken from the launcher,
/// to whose copy these locks do not apply.
pub(crate) struct Source {
    path: PathBuf,
    recursive: bool,
    is_root: bool,
    lent: Option<DetachedMount>,
}

impl Source {
    /// What is at `path`; lent by the launcher if `lend`.
    pub(crate) fn new(path: &Path, recursive: bool, lend: bool) -> Self {
        let mut source = Self { path: path.into(), recursive, is_root: false, lent: None };
        // Where the launcher fails, so will the child, and say why.
        source.lent = lend.then(|| source.copy().ok()).flatten();
        source
    }

    /// The root file system.
    pub(crate) fn root(path: &Path, lend: bool) -> Self {
        let mut source = Self { path: path.into(), recursive: true, is_root: true, lent: None };
        source.lent = lend.then(|| source.copy().ok()).flatten();
        source
    }

    /// The mount, on which flags in `clear` are to be lowered.
    pub(crate) fn into_mount(self, clear: MountFlags) -> coracle_mount::Result<DetachedMount> {
        match (self.copy(), self.lent) {
            (Err(coracle_mount::Error::Source { source, .. }), Some(lent))
                if source.errno() == Errno::ACCESS =>
            {
                if lent.flags()?.intersects(clear) {
                    let reason = "the host's mount has a flag that the options would lower";
                    return Err(coracle_mount::Error::Forbidden { path: self.path, reason });
                }
                Ok(lent)
            }
            (copy, _) => copy,
        }
    }

    fn copy(&self) -> coracle_mount::Result<DetachedMount> {
        match self.is_root {
            true => DetachedMount::copy_of_root(&self.path),
            false => DetachedMount::copy_of_path(&self.path, self.recursive),
        }
    }
}

/// A container being built.
pub(crate) struct Setup<'plan> {
    pub(crate) plan: &'plan Plan,
    pub(crate) descriptors: Descriptors,
    /// To the host, until it has nothing more to say.
    pub(crate) channel: Option<Channel>,
    /// The host's procfs, until there is nothing more to do with it.
    pub(crate) proc: Option<ProcRoot>,
    /// May the process change its groups? If it is not known yet, its procfs says.
    pub(crate) groups: Option<bool>,
}

impl Setup<'_> {
    /// Walks the plan to its end. Returns only if a step fails, or the launcher did.
    pub(crate) fn run(
        &mut self,
        surroundings: Surroundings,
        wait: OwnedFd,
    ) -> Result<(), InitError> {
        self.enter_cgroups()?;
        self.choose_processors()?;
        self.start_session()?;
        // Without the byte the launcher has failed, and reported it.
        if !matches!(rustix::io::read(&wait, &mut [0]), Ok(1)) {
            return Ok(());
        }
        drop(wait);
        let terminal = match (surroundings, &self.plan.place) {
            (Surroundings::New(sources), Place::New(plan)) => {
                self.become_root_of_namespace()?;
                self.join_keyring()?;
                self.setup_namespaces(&plan.namespaces)?;
                self.build_root(plan, sources)?
            }
            (Surroundings::Existing(entrance), _) => self.enter(&entrance)?,
            (Surroundings::New(_), Place::Existing(_)) => {
                return Err(InitError::message("reading the plan", "there is nothing to build"));
            }
        };
        self.connect_streams(terminal)?;
        let confined = self.confine()?;
        confined.start(self)
    }

    /// Tells the host something.
    pub(crate) fn tell(
        &self,
        message: &ToHost,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), WireError> {
        let gone = WireError::Protocol("the host has gone");
        wire::send(self.channel.as_ref().ok_or(gone)?, message, descriptor)
    }

    /// Waits for the host to say that the process may go on. Nothing stands for a host that has gone.
    fn is_told_to_go(&self) -> Result<bool, WireError> {
        let Some(channel) = &self.channel else { return Ok(false) };
        Ok(matches!(wire::receive::<ToInit>(channel)?, Some((ToInit::Go, _))))
    }

    /// The host's procfs.
    pub(crate) fn proc(&self) -> Result<&ProcRoot, InitError> {
        let gone = || InitError::message("using /proc", "it has been closed already");
        self.proc.as_ref().ok_or_else(gone)
    }
}
