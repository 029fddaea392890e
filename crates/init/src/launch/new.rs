//! Before the birth of a new container's first process.

use std::os::fd::AsFd;

use coracle_ns::{NamespaceKind, join_all, unshare};
use coracle_sys::procfs::ProcRoot;
use rustix::thread::UnshareFlags;

use super::Launcher;
use crate::InitError;
use crate::error::Step;
use crate::plan::{BindSource, MountKind, MountsPlan, NamespacesPlan, NewPlan};
use crate::setup::{Source, Sources, Surroundings};

impl Launcher {
    /// Joins namespaces and opens what will be mounted; returns which namespaces the child is to be born with.
    pub(super) fn prepare_new(
        &mut self,
        plan: &NewPlan,
        proc: &ProcRoot,
    ) -> Result<(Surroundings, UnshareFlags), InitError> {
        let namespaces = &plan.namespaces;
        self.join(namespaces)?;
        if namespaces.create.contains(NamespaceKind::Time) {
            // It is entered by later children only, and its clocks can be set until then.
            unshare(NamespaceKind::Time).step("creating the time namespace")?;
            namespaces.time_offsets.apply(proc).step("setting /linux/timeOffsets")?;
        }
        let lend = namespaces.create.contains(NamespaceKind::User);
        let mut create = namespaces.create;
        // The time namespace is made already; the cgroup namespace starts where the child is then.
        create.remove(NamespaceKind::Time);
        create.remove(NamespaceKind::Cgroup);
        Ok((Surroundings::New(sources(&plan.mounts, lend)), create.flags()))
    }

    fn join(&mut self, namespaces: &NamespacesPlan) -> Result<(), InitError> {
        let mut joined = Vec::new();
        for (kind, slot) in &namespaces.join {
            joined.push((*kind, self.descriptors.take(*slot)?));
        }
        if !joined.is_empty() {
            Self::hide_from_tracers()?;
        }
        let borrowed: Vec<_> = joined.iter().map(|(kind, fd)| (*kind, fd.as_fd())).collect();
        join_all(&borrowed).step("joining namespaces")
    }
}

/// What is mounted from the host. In a new user namespace some of it may be out of reach, so the launcher
/// lends its rights.
fn sources(mounts: &MountsPlan, lend: bool) -> Sources {
    let of_step = |kind: &MountKind| match kind {
        MountKind::Bind { source: BindSource::Host(path), recursive } => {
            vec![Source::new(path, *recursive, lend)]
        }
        MountKind::Cgroup { copies, .. } => {
            copies.iter().map(|path| Source::new(path, true, lend)).collect()
        }
        _ => Vec::new(),
    };
    Sources {
        root: Source::root(&mounts.root, lend),
        binds: mounts.steps.iter().map(|step| of_step(&step.kind)).collect(),
    }
}
