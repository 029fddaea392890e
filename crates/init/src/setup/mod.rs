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
mod source;
mod start;

use std::os::fd::{BorrowedFd, OwnedFd};

use coracle_process::Channel;
use coracle_sys::procfs::ProcRoot;

use crate::InitError;
use crate::plan::{Place, Plan};
use crate::wire::{self, Descriptors, ToHost, ToInit, WireError};

pub(crate) use existing::Entrance;
pub(crate) use identity::setgroups_allowed;
pub(crate) use source::{Found, Source, find};

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
    /// The time namespace is still to be made.
    pub(crate) makes_time: bool,
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
                self.setup_namespaces(&plan.namespaces, sources.makes_time)?;
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
