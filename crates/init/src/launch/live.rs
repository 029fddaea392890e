//! Changing the mounts of a container that is there.
//!
//! No process is born: the program itself enters the container's mount namespace and user namespace, and no
//! other, does the change and ends. What is mounted from the host it has opened before. Nobody in the
//! container can trace it, and it is not in their pid namespace; it executes nothing of theirs.

use std::os::fd::OwnedFd;

use coracle_mount::{DetachedMount, Propagation, PropagationKind, Rootfs};
use coracle_ns::{KindSet, NamespaceKind, join_process, unshare};
use coracle_sys::mount_attr::{MountAttr, mount_setattr};
use coracle_sys::procfs::ProcRoot;
use rustix::process::setsid;
use rustix::thread::{
    CapabilitySet, Gid, Uid, capabilities, set_thread_res_gid, set_thread_res_uid,
};

use super::Launcher;
use crate::InitError;
use crate::error::Step;
use crate::plan::{BindPlan, BindSource, LivePlan, MountChange, MountKind, MountStep};
use crate::wire::Descriptors;

/// Does the change, all or nothing.
pub(super) fn change(plan: &LivePlan, descriptors: &mut Descriptors) -> Result<(), InitError> {
    // A signal from the terminal is for whoever gave the command, not for half of its work.
    setsid().step("leaving the terminal")?;
    let _lock = descriptors.take(plan.lock)?;
    let init = descriptors.take(plan.init)?;
    let proc = ProcRoot::open().step("opening /proc")?;
    Launcher::hide_from_tracers()?;
    let mut kinds = plan.kinds;
    let copies = match &plan.change {
        MountChange::Add(steps) => {
            if kinds.contains(NamespaceKind::User) && !may_mount()? {
                // The copies are made where the caller may make them: in a copy of its mount namespace.
                enter(&init, [NamespaceKind::User].into_iter().collect())?;
                unshare(NamespaceKind::Mount).step("copying the mount namespace")?;
                kinds.remove(NamespaceKind::User);
            }
            // Without this call flags are changed by paths in procfs, and the container's is of other processes.
            mount_setattr(&init, false, &MountAttr::default()).step("preparing mounts")?;
            copy_sources(steps, plan)?
        }
        MountChange::Remove { .. } => Vec::new(),
    };
    enter(&init, kinds)?;
    let mut root = Rootfs::of_caller().step("opening the container's root")?;
    match &plan.change {
        MountChange::Add(steps) => add(&mut root, &proc, steps, copies),
        MountChange::Remove { places, kept } => {
            let mut mounts = Vec::new();
            for (name, path) in places {
                let step = || format!("unmounting {} ({name})", path.display());
                mounts.push((step(), root.find_removable(&proc, path, kept).step(step())?));
            }
            mounts.iter().try_for_each(|(step, mount)| proc.unmount(mount).step(step.as_str()))
        }
    }
}

/// May it copy mounts of the host?
fn may_mount() -> Result<bool, InitError> {
    let own = capabilities(None).step("reading the caller's capabilities")?;
    Ok(own.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Enters namespaces of the container, as root of its user namespace if that is among them.
fn enter(init: &OwnedFd, kinds: KindSet) -> Result<(), InitError> {
    join_process(init, kinds).step("entering the container")?;
    if kinds.contains(NamespaceKind::User) {
        let step = "becoming root of the user namespace (does it map 0?)";
        set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).step(step)?;
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).step(step)?;
        Launcher::hide_from_tracers()?;
    }
    Ok(())
}

/// Opens what is mounted from the host. What is mounted on the originals later appears on the copies, never
/// the other way round.
fn copy_sources(
    steps: &[MountStep],
    plan: &LivePlan,
) -> Result<Vec<Option<DetachedMount>>, InitError> {
    let slave = Propagation { kind: PropagationKind::Slave, recursive: true };
    let copy = |step: &MountStep| {
        let MountKind::Bind(BindPlan { source: BindSource::Host(path), recursive, .. }) =
            &step.kind
        else {
            return Ok(None);
        };
        let tree = DetachedMount::copy_of_path(path, *recursive)?;
        slave.apply(&tree)?;
        let clear = step.attributes.clear | step.attributes.recursive_clear;
        if plan.kinds.contains(NamespaceKind::User) && tree.flags()?.intersects(clear) {
            let reason = "the host's mount has a flag that the options would lower";
            return Err(coracle_mount::Error::Forbidden { path: path.clone(), reason });
        }
        Ok(Some(tree))
    };
    steps.iter().map(|step| copy(step).step(name(step))).collect()
}

/// Mounts all; what is mounted when one fails is unmounted again.
fn add(
    root: &mut Rootfs,
    proc: &ProcRoot,
    steps: &[MountStep],
    copies: Vec<Option<DetachedMount>>,
) -> Result<(), InitError> {
    let mut done = Vec::new();
    for (step, copy) in steps.iter().zip(copies) {
        match mount(root, step, copy).step(name(step)) {
            Ok(mounted) => done.push(mounted),
            Err(error) => {
                for mounted in done.iter().rev() {
                    proc.unmount(mounted).step(format!("undoing after {error}"))?;
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

fn mount(
    root: &mut Rootfs,
    step: &MountStep,
    copy: Option<DetachedMount>,
) -> coracle_mount::Result<OwnedFd> {
    let MountStep { path, kind, attributes, .. } = step;
    match (kind, copy) {
        (MountKind::Bind(_), Some(tree)) => root.bind(path, tree, attributes),
        (
            MountKind::Bind(BindPlan { source: BindSource::Container(source), recursive, .. }),
            None,
        ) => {
            let tree = root.copy_of(source, *recursive)?;
            root.bind(path, tree, attributes)
        }
        (MountKind::Filesystem(filesystem), _) => {
            root.mount_filesystem(path, filesystem, attributes)
        }
        _ => {
            let reason = "only a container that is created can have this";
            Err(coracle_mount::Error::Forbidden { path: path.clone(), reason })
        }
    }
}

fn name(step: &MountStep) -> String {
    format!("mounting {} ({})", step.path.display(), step.name)
}
