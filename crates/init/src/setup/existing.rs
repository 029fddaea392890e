//! Entering a container that is there.

use std::os::fd::OwnedFd;

use coracle_mount::Rootfs;
use coracle_ns::{NamespaceKind, join_process};
use coracle_process::Pty;
use coracle_sys::procfs::ProcRoot;

use super::Setup;
use crate::InitError;
use crate::error::Step;

/// What is left of the way into the container.
pub(crate) struct Entrance {
    /// A pidfd of its first process, whose cgroup namespace is still to be entered.
    pub(crate) cgroup: Option<OwnedFd>,
    /// May groups be changed there? Known if the user namespace is the caller's.
    pub(crate) groups: Option<bool>,
}

impl Setup<'_> {
    /// Enters what is left to enter, and makes the terminal in the container.
    pub(super) fn enter(&mut self, entrance: &Entrance) -> Result<Option<Pty>, InitError> {
        if let Some(init) = &entrance.cgroup {
            let kinds = [NamespaceKind::Cgroup].into_iter().collect();
            join_process(init, kinds).step("entering the container")?;
        }
        self.groups = entrance.groups;
        if self.proc.is_none() && self.needs_proc() {
            // One that shows the container's processes only.
            self.proc = Some(ProcRoot::mount().step("mounting a /proc to set labels by")?);
        }
        self.become_root_of_namespace()?;
        self.join_keyring()?;
        let Some(plan) = self.plan.process.terminal else { return Ok(None) };
        let root = Rootfs::of_caller().step("opening the container's root")?;
        self.open_terminal(&root, plan).map(Some)
    }

    fn needs_proc(&self) -> bool {
        let plan = &self.plan.confine;
        plan.apparmor.is_some() || plan.selinux.is_some()
    }
}
