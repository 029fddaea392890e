//! Before the birth of another process of an existing container.

use coracle_ns::{NamespaceKind, join_process};
use coracle_sys::procfs::ProcRoot;

use super::Launcher;
use crate::InitError;
use crate::error::Step;
use crate::plan::ExistingPlan;
use crate::setup::{Entrance, Surroundings, setgroups_allowed};

impl Launcher {
    /// Enters the namespaces, so that the process which the container will see is in all of them from its
    /// birth: who can trace it there must not get at the host through it.
    ///
    /// The cgroup namespace is left to the child. It may hide the cgroup that the child is to be born in.
    pub(super) fn enter_existing(
        &mut self,
        plan: ExistingPlan,
        proc: &ProcRoot,
    ) -> Result<Surroundings, InitError> {
        let same_user = !plan.kinds.contains(NamespaceKind::User);
        let groups = same_user.then(|| setgroups_allowed(proc)).transpose()?;
        let init = self.descriptors.take(plan.init)?;
        Self::hide_from_tracers()?;
        let mut kinds = plan.kinds;
        kinds.remove(NamespaceKind::Cgroup);
        join_process(&init, kinds).step("entering the container")?;
        let cgroup = plan.kinds.contains(NamespaceKind::Cgroup).then_some(init);
        Ok(Surroundings::Existing(Entrance { cgroup, groups }))
    }

    /// The host's procfs leads to all files of the host, so it stays outside, but where it is needed and safe:
    /// the root of another user namespace cannot trace a program that was started in the host's.
    pub(super) fn keep_proc(&self, proc: ProcRoot) -> Option<ProcRoot> {
        Some(proc).filter(|_| self.plan.place.has_user_namespace())
    }
}
