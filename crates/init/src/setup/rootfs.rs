//! The root file system, from the first mount to the exchange of the root.

use std::path::Path;

use coracle_mount::{
    Attributes, CgroupMount, DetachedMount, MountFlags, Propagation, PropagationKind, Rootfs,
    SourceLink,
};
use coracle_process::Pty;

use super::{Found, Setup, Source, Sources};
use crate::InitError;
use crate::error::Step;
use crate::plan::{BindPlan, BindSource, MountKind, MountStep, MountsPlan, NewPlan, TerminalPlan};

impl Setup<'_> {
    /// Builds the root and makes it ours; returns the terminal, if there is to be one.
    pub(super) fn build_root(
        &self,
        plan: &NewPlan,
        sources: Sources,
    ) -> Result<Option<Pty>, InitError> {
        let mounts = &plan.mounts;
        let tree = sources.root.tree(MountFlags::empty()).step("opening /root/path")?;
        let copies = copy_sources(mounts, sources.binds)?;
        let mut root = Rootfs::mount(tree, &mounts.root, mounts.outside)
            .step("mounting the root file system")?;
        for (step, copies) in mounts.steps.iter().zip(copies) {
            mount(&mut root, step, copies).map_err(|error| failure(step, &error))?;
        }
        make_devices(mounts, &root)?;
        let terminal = self.make_terminal(mounts, &root)?;
        root.make_directory(&self.plan.process.cwd).step("creating /process/cwd")?;
        self.run_hooks_before_pivot(&plan.hooks, &root)?;
        for path in &mounts.readonly_later {
            make_readonly(&root, path).step(format!("making {} read-only", path.display()))?;
        }
        hide_paths(mounts, &root)?;
        if mounts.pivot { root.pivot() } else { root.chroot() }
            .step("entering the root file system")?;
        if mounts.readonly_root {
            root.make_readonly().step("making the root file system read-only")?;
        }
        if let Some(propagation) = mounts.propagation {
            propagation.apply(&root).step("setting /linux/rootfsPropagation")?;
        }
        Ok(terminal)
    }

    fn make_terminal(&self, mounts: &MountsPlan, root: &Rootfs) -> Result<Option<Pty>, InitError> {
        let Some(plan) = self.plan.process.terminal else { return Ok(None) };
        let pty = self.open_terminal(root, plan)?;
        if mounts.setup_dev {
            root.bind_console(&pty.user).step("mounting /dev/console")?;
        }
        Ok(Some(pty))
    }

    /// A terminal of the container's own devpts.
    pub(super) fn open_terminal(
        &self,
        root: &Rootfs,
        plan: TerminalPlan,
    ) -> Result<Pty, InitError> {
        let step = "creating the terminal";
        let pty = Pty::open_in(root.devpts().step(step)?).step(step)?;
        if let Some(size) = plan.size {
            size.apply(&pty.controller).step("setting /process/consoleSize")?;
        }
        Ok(pty)
    }
}

/// Copies what is mounted from the host, for each step, while this namespace's mounts are still peers of
/// the host's: mounts pass between them where that is asked for.
fn copy_sources(
    mounts: &MountsPlan,
    sources: Vec<Vec<Source>>,
) -> Result<Vec<Vec<Found>>, InitError> {
    let outside = Some(mounts.outside).filter(|_| !shares_mounts(mounts));
    let copy = |(step, sources): (&MountStep, Vec<Source>)| {
        let clear = step.attributes.clear | step.attributes.recursive_clear;
        let copies = sources.into_iter().map(|source| cut_off(source, clear, outside));
        copies.collect::<Result<_, _>>().map_err(|error| failure(step, &error))
    };
    mounts.steps.iter().zip(sources).map(copy).collect()
}

fn make_devices(mounts: &MountsPlan, root: &Rootfs) -> Result<(), InitError> {
    for node in &mounts.devices {
        if mounts.bind_devices {
            let step = "lending devices (in a user namespace only the host's, by their own names)";
            root.bind_device(node).step(step)?;
        } else {
            root.make_device(node).step("creating devices")?;
        }
    }
    if mounts.setup_dev {
        root.make_device_links().step("creating the links in /dev")?;
    }
    Ok(())
}

fn hide_paths(mounts: &MountsPlan, root: &Rootfs) -> Result<(), InitError> {
    for path in &mounts.readonly {
        root.protect(path).step(format!("protecting {} (/linux/readonlyPaths)", path.display()))?;
    }
    let mut masks = root.masks();
    for path in &mounts.masked {
        masks.mask(path).step(format!("masking {} (/linux/maskedPaths)", path.display()))?;
    }
    Ok(())
}

/// Does `/linux/rootfsPropagation` let mounts out to the host?
fn shares_mounts(mounts: &MountsPlan) -> bool {
    mounts.propagation.is_some_and(|propagation| propagation.kind == PropagationKind::Shared)
}

/// The copy, cut off from its original: what is mounted on the one must not appear on the other.
fn cut_off(
    source: Source,
    clear: MountFlags,
    outside: Option<Propagation>,
) -> coracle_mount::Result<Found> {
    let found = source.found(clear)?;
    if let (Found::Tree(tree), Some(outside)) = (&found, outside) {
        outside.apply(tree)?;
    }
    Ok(found)
}

fn failure(step: &MountStep, error: &coracle_mount::Error) -> InitError {
    InitError::new(format!("mounting {} ({})", step.path.display(), step.name), error)
}

fn mount(root: &mut Rootfs, step: &MountStep, copies: Vec<Found>) -> coracle_mount::Result<()> {
    let MountStep { path, kind, attributes, .. } = step;
    let mut copies = copies.into_iter();
    match kind {
        MountKind::Filesystem(filesystem) => {
            root.mount_filesystem(path, filesystem, attributes).map(drop)
        }
        MountKind::Bind(bind) => {
            let found = match &bind.source {
                BindSource::Container(source) => Some(find_inside(root, source, bind)?),
                BindSource::Host(_) => copies.next(),
            };
            found.map_or(Ok(()), |found| bind_to(root, step, bind, found))
        }
        MountKind::Remount { parameters: Some(parameters) } => {
            root.reconfigure(path, parameters, attributes)
        }
        MountKind::Remount { parameters: None } => root.remount(path, attributes),
        MountKind::Cgroup { mount: CgroupMount::Unified, .. } => {
            root.mount_cgroup_unified(path, attributes, trees(copies).next()).map(drop)
        }
        MountKind::Cgroup { mount: CgroupMount::Legacy { entries, links }, .. } => {
            let copies = trees(copies).map(Some).chain(std::iter::repeat_with(|| None));
            let entries = entries.iter().zip(copies);
            root.mount_cgroup_legacy(path, attributes, entries, links)
        }
    }
}

fn trees(found: impl Iterator<Item = Found>) -> impl Iterator<Item = DetachedMount> {
    found.filter_map(|found| match found {
        Found::Tree(tree) => Some(tree),
        Found::Link(_) => None,
    })
}

/// A source inside the container.
fn find_inside(root: &Rootfs, path: &Path, bind: &BindPlan) -> coracle_mount::Result<Found> {
    let tree = match bind.link {
        SourceLink::Follow => root.copy_of(path, bind.recursive)?,
        SourceLink::Itself => root.copy_of_link(path, bind.recursive)?,
        SourceLink::Copy => match root.read_link(path)? {
            Some(text) => return Ok(Found::Link(text)),
            None => root.copy_of(path, bind.recursive)?,
        },
    };
    Ok(Found::Tree(tree))
}

fn bind_to(
    root: &mut Rootfs,
    step: &MountStep,
    bind: &BindPlan,
    found: Found,
) -> coracle_mount::Result<()> {
    let MountStep { path, attributes, .. } = step;
    match found {
        Found::Link(text) => root.make_link(path, &text),
        Found::Tree(tree) if bind.over_link => {
            root.bind_over_link(path, tree, attributes).map(drop)
        }
        Found::Tree(tree) => root.bind(path, tree, attributes).map(drop),
    }
}

fn make_readonly(root: &Rootfs, path: &Path) -> coracle_mount::Result<()> {
    root.change(path, &Attributes { set: MountFlags::RDONLY, ..Attributes::default() })
}
