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

use coracle_mount::DetachedMount;
use coracle_process::Channel;
use coracle_sys::procfs::ProcRoot;

use crate::InitError;
use crate::plan::Plan;
use crate::wire::Descriptors;

/// What the launcher opened for the mounts.
pub(crate) struct Sources {
    /// The root file system.
    pub(crate) root: DetachedMount,
    /// For each step of the mounts, what it needs.
    pub(crate) binds: Vec<Vec<DetachedMount>>,
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
