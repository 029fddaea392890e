//! Before the birth of another process of an existing container.

use coracle_ns::{KindSet, NamespaceKind, join_process};
use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use super::Launcher;
use crate::InitError;
use crate::error::Step;
use crate::plan::ExistingPlan;
use crate::setup::{Entrance, Surroundings};

impl Launcher {
    /// Enters the pid namespace, which only children are in afterwards. All else the child enters itself: so
    /// it is born in the container's cgroup, which the container's cgroup namespace may hide, and with the
    /// rights that this process has on the host.
    pub(super) fn prepare_existing(
        &mut self,
        plan: ExistingPlan,
    ) -> Result<(Surroundings, UnshareFlags), InitError> {
        let init = self.descriptors.take(plan.init)?;
        let mut kinds = plan.kinds;
        Self::hide_from_tracers()?;
        if kinds.contains(NamespaceKind::Pid) {
            let mut first: KindSet = [NamespaceKind::Pid].into_iter().collect();
            let mut entered = join_process(&init, first);
            // Who is not root may do that as root of the container's user namespace only.
            if entered.as_ref().is_err_and(|error| error.errno() == Some(Errno::PERM))
                && kinds.contains(NamespaceKind::User)
            {
                first.insert(NamespaceKind::User);
                entered = join_process(&init, first);
            }
            entered.step("entering the container")?;
            first.iter().for_each(|kind| kinds.remove(kind));
        }
        let entrance = Entrance { init, kinds };
        Ok((Surroundings::Existing(entrance), UnshareFlags::empty()))
    }
}
