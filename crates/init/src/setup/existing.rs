//! Entering a container that is there.

use std::os::fd::OwnedFd;

use coracle_mount::Rootfs;
use coracle_ns::{KindSet, join_process};
use coracle_process::Pty;

use super::Setup;
use crate::InitError;
use crate::error::Step;

/// The way into the container.
pub(crate) struct Entrance {
    /// A pidfd of its first process.
    pub(crate) init: OwnedFd,
    /// The namespaces that are still to be entered.
    pub(crate) kinds: KindSet,
}

impl Setup<'_> {
    /// Enters the namespaces of the container, and with its mounts its root; makes the terminal there.
    pub(super) fn enter(&self, entrance: &Entrance) -> Result<Option<Pty>, InitError> {
        join_process(&entrance.init, entrance.kinds).step("entering the container")?;
        self.become_root_of_namespace()?;
        let Some(plan) = self.plan.process.terminal else { return Ok(None) };
        let root = Rootfs::of_caller().step("opening the container's root")?;
        self.open_terminal(&root, plan).map(Some)
    }
}
