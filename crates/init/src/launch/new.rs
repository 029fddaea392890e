//! Before the birth of a new container's first process.

use std::os::fd::{AsFd, OwnedFd};

use coracle_mount::SourceLink;
use coracle_ns::{Clocks, NamespaceKind, join_all, unshare};
use coracle_sys::Errno;
use coracle_sys::procfs::ProcRoot;
use rustix::thread::UnshareFlags;

use super::Launcher;
use super::mapped::Mapper;
use crate::InitError;
use crate::error::Step;
use crate::plan::{
    BindPlan, BindSource, MountKind, MountStep, MountsPlan, NamespacesPlan, NewPlan,
};
use crate::setup::{Source, Sources, Surroundings};

impl Launcher {
    /// Joins namespaces and opens what will be mounted; returns which namespaces the child is to be born with.
    pub(super) fn prepare_new(
        &mut self,
        plan: &NewPlan,
        proc: &ProcRoot,
    ) -> Result<(Surroundings, UnshareFlags), InitError> {
        let namespaces = &plan.namespaces;
        let joined = self.joined(namespaces)?;
        let mapped = map_sources(plan, &joined, proc)?;
        let wants_time = namespaces.create.contains(NamespaceKind::Time);
        // After joining these may not be the launcher's own files any more.
        let clocks = wants_time.then(|| Clocks::open(proc));
        Self::join(&joined)?;
        let leaves_time = clocks.map(|clocks| make_time(namespaces, clocks)).transpose()?;
        let lend = namespaces.create.contains(NamespaceKind::User);
        let mut create = namespaces.create;
        // The time namespace must have its clocks before anybody is in it; the cgroup namespace starts where the
        // child is then.
        create.remove(NamespaceKind::Time);
        create.remove(NamespaceKind::Cgroup);
        let sources = sources(&plan.mounts, mapped, lend);
        let makes_time = leaves_time.unwrap_or(false);
        Ok((Surroundings::New(Sources { makes_time, ..sources }), create.flags()))
    }

    fn joined(
        &mut self,
        plan: &NamespacesPlan,
    ) -> Result<Vec<(NamespaceKind, OwnedFd)>, InitError> {
        plan.join.iter().map(|(kind, slot)| Ok((*kind, self.descriptors.take(*slot)?))).collect()
    }

    fn join(joined: &[(NamespaceKind, OwnedFd)]) -> Result<(), InitError> {
        if !joined.is_empty() {
            Self::hide_from_tracers()?;
        }
        let borrowed: Vec<_> = joined.iter().map(|(kind, fd)| (*kind, fd.as_fd())).collect();
        join_all(&borrowed).step("joining namespaces")
    }
}

/// Makes the time namespace that the child is born in. Who may not do that leaves it to the child, which may in
/// its user namespace: true.
fn make_time(
    namespaces: &NamespacesPlan,
    clocks: coracle_ns::Result<Clocks>,
) -> Result<bool, InitError> {
    match unshare(NamespaceKind::Time) {
        Err(error)
            if error.errno() == Some(Errno::PERM)
                && namespaces.create.contains(NamespaceKind::User) =>
        {
            return Ok(true);
        }
        made => made.step("creating the time namespace")?,
    }
    let set = clocks.and_then(|clocks| clocks.set(&namespaces.time_offsets));
    set.step("setting /linux/timeOffsets")?;
    Ok(false)
}

/// The sources whose owners are mapped, for each step.
fn map_sources(
    plan: &NewPlan,
    joined: &[(NamespaceKind, OwnedFd)],
    proc: &ProcRoot,
) -> Result<Vec<Option<Source>>, InitError> {
    let users = joined.iter().find(|(kind, _)| *kind == NamespaceKind::User);
    let users = users.map(|(_, fd)| fd.as_fd());
    let mut mapper = Mapper::new(proc, users, plan.namespaces.has_user_namespace());
    plan.mounts.steps.iter().map(|step| mapper.source(step)).collect()
}

/// What is mounted from the host. In a new user namespace some of it may be out of reach, so the launcher
/// lends its rights.
fn sources(mounts: &MountsPlan, mapped: Vec<Option<Source>>, lend: bool) -> Sources {
    let of_kind = |kind: &MountKind| match kind {
        MountKind::Bind(BindPlan { source: BindSource::Host(path), recursive, link, .. }) => {
            vec![Source::new(path, *recursive, *link, lend)]
        }
        MountKind::Cgroup { copies, .. } => {
            copies.iter().map(|path| Source::new(path, true, SourceLink::Follow, lend)).collect()
        }
        _ => Vec::new(),
    };
    let of_step = |(step, mapped): (&MountStep, Option<Source>)| match mapped {
        Some(source) => vec![source],
        None => of_kind(&step.kind),
    };
    Sources {
        root: Source::root(&mounts.root, lend),
        binds: mounts.steps.iter().zip(mapped).map(of_step).collect(),
        makes_time: false,
    }
}
