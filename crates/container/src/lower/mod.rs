//! From the specification to plans: decisions only, no privileged system call.

mod confine;
mod devices;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod seccomp;

use std::path::{Path, PathBuf};

use coracle_cgroup::{CgroupPaths, CgroupRoot, Resources};
use coracle_init::plan::{CgroupEntry, Plan};
use coracle_ns::NamespaceKind;
use coracle_spec::Spec;

pub(crate) use namespaces::kind_of_sysctl;

use crate::{Error, Result};

/// What the plan depends on besides the specification.
#[derive(Debug)]
pub(crate) struct Context<'host> {
    /// The container's id.
    pub(crate) id: &'host str,
    /// The bundle's directory, absolute.
    pub(crate) bundle: &'host Path,
    /// The host's cgroup hierarchies.
    pub(crate) cgroups: &'host CgroupRoot,
    /// Where the container's cgroup is in each of them.
    pub(crate) cgroup_paths: &'host CgroupPaths,
    /// The container is in another cgroup namespace than the caller.
    pub(crate) own_cgroup_namespace: bool,
    /// What capabilities the caller can give.
    pub(crate) capabilities: coracle_caps::CapSet,
    /// The caller has not all rights of the host's root.
    pub(crate) rootless: bool,
    /// `--no-pivot`.
    pub(crate) no_pivot: bool,
    /// `--no-new-keyring`.
    pub(crate) no_new_keyring: bool,
}

/// A specification as plans.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// What init does. Its slots are still to be assigned, but for those of nothing.
    pub(crate) plan: Plan,
    /// Namespaces to be joined.
    pub(crate) join: Vec<(NamespaceKind, PathBuf)>,
    /// The limits.
    pub(crate) resources: Resources,
    /// The specification asks for some, besides what every container gets.
    pub(crate) wants_limits: bool,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Turns the specification into plans.
pub(crate) fn lower(spec: &Spec, context: &Context<'_>) -> Result<Lowered> {
    let mut warnings = Vec::new();
    let (namespaces, join) = namespaces::lower(spec)?;
    let new_user = namespaces.create.contains(NamespaceKind::User);
    let any_user = new_user || join.iter().any(|(kind, _)| *kind == NamespaceKind::User);
    let available = if new_user { coracle_caps::CapSet::ALL } else { context.capabilities };
    let process = process::lower(spec, context)?;
    let plan = Plan {
        mounts: mounts::lower(spec, context, any_user || context.rootless)?,
        confine: confine::lower(spec, available, &mut warnings)?,
        process,
        namespaces,
        cgroup: CgroupEntry::default(),
    };
    let resources = resources::lower(&spec.linux.resources, &plan.mounts.devices, &mut warnings)?;
    let wants_limits = spec.linux.resources != coracle_spec::types::Resources::default();
    Ok(Lowered { plan, join, resources, wants_limits, warnings })
}

/// What the specification asks for and cannot have.
fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Spec { pointer: pointer.into(), message: message.into() }
}

#[cfg(test)]
mod tests;
