//! From the specification to plans: decisions only, no privileged system call.

mod confine;
mod cpus;
mod devices;
mod hooks;
mod id_maps;
mod landlock;
mod mounts;
mod namespaces;
mod network;
mod process;
mod rdt;
mod resources;
mod scheduling;
pub(crate) mod seccomp;

use std::path::{Path, PathBuf};

use coracle_caps::CapSet;
use coracle_cgroup::{CgroupPaths, CgroupRoot, Resources};
use coracle_init::plan::{ConfinePlan, MountsPlan, NamespacesPlan, ProcessPlan};
use coracle_ns::NamespaceKind;
use coracle_spec::Spec;

pub(crate) use hooks::Hooks;
pub(crate) use mounts::lower_live;
pub(crate) use namespaces::kind_of_sysctl;
pub(crate) use network::WantedDevice;

use confine::Confinement;
use seccomp::{Compiler, FilterOrigin};

use crate::agent::AgentAddress;
use crate::rdt::Rdt;
use crate::{Error, Result};

/// What the plan depends on besides the specification.
#[derive(Debug)]
pub(crate) struct Context<'host> {
    /// The container's id.
    pub(crate) id: &'host str,
    /// The bundle's directory, absolute.
    pub(crate) bundle: &'host Path,
    /// The root file system, absolute and without symbolic links.
    pub(crate) root: &'host Path,
    /// The host's cgroup hierarchies.
    pub(crate) cgroups: &'host CgroupRoot,
    /// Where the container's cgroup is in each of them.
    pub(crate) cgroup_paths: &'host CgroupPaths,
    /// The container is in another cgroup namespace than the caller.
    pub(crate) own_cgroup_namespace: bool,
    /// What capabilities the caller can give.
    pub(crate) capabilities: CapSet,
    /// The caller has not all rights of the host's root.
    pub(crate) rootless: bool,
    /// `--no-pivot`.
    pub(crate) no_pivot: bool,
    /// `--no-new-keyring`.
    pub(crate) no_new_keyring: bool,
}

/// A specification as plans. Their slots are still to be assigned.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// Where the container runs.
    pub(crate) namespaces: NamespacesPlan,
    /// What it sees of files.
    pub(crate) mounts: MountsPlan,
    /// What it runs.
    pub(crate) process: ProcessPlan,
    /// What it may do.
    pub(crate) confine: ConfinePlan,
    /// Who is asked about system calls.
    pub(crate) agent: Option<AgentAddress>,
    /// What decides about them.
    pub(crate) filter: Option<FilterOrigin>,
    /// Namespaces to be joined.
    pub(crate) join: Vec<(NamespaceKind, PathBuf)>,
    /// Network devices of the host that move into the container.
    pub(crate) devices: Vec<WantedDevice>,
    /// What is run besides.
    pub(crate) hooks: Hooks,
    /// The limits.
    pub(crate) resources: Resources,
    /// The share of caches and memory bandwidth.
    pub(crate) rdt: Option<Rdt>,
    /// The specification asks for some, besides what every container gets.
    pub(crate) wants_limits: bool,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Turns the specification into plans. The seccomp profile, most of many a specification, is taken out of it.
pub(crate) fn lower(
    spec: &mut Spec,
    context: &Context<'_>,
    compiler: &Compiler,
) -> Result<Lowered> {
    let mut warnings = Vec::new();
    let (mut namespaces, join) = namespaces::lower(spec)?;
    let devices = network::lower(spec, context.rootless)?;
    namespaces.awaits_devices =
        !devices.is_empty() && namespaces.create.contains(NamespaceKind::Net);
    let new_user = namespaces.create.contains(NamespaceKind::User);
    let any_user = new_user || join.iter().any(|(kind, _)| *kind == NamespaceKind::User);
    // In another user namespace the kernel gives all of them.
    let available = if any_user { CapSet::ALL } else { context.capabilities };
    let mut process = process::lower(
        &spec.process,
        keyring(context.id, context.no_new_keyring),
        context.rootless,
    )?;
    scheduling::lower(spec, &mut process)?;
    let mounts = mounts::lower(spec, context, any_user || context.rootless)?;
    let confine = confine::lower(spec, available, compiler, &mut warnings)?;
    let Confinement { plan: confine, agent, filter } = confine;
    let resources = resources::lower(&spec.linux.resources, &mounts.devices, &mut warnings)?;
    let wants_limits = resources::has_limits(&spec.linux.resources);
    let hooks = hooks::lower(spec);
    let rdt = spec.linux.intel_rdt.as_ref().map(rdt::lower);
    Ok(Lowered {
        namespaces,
        mounts,
        process,
        confine,
        agent,
        filter,
        join,
        devices,
        hooks,
        resources,
        rdt,
        wants_limits,
        warnings,
    })
}

/// A process that joins a container, as plans.
#[derive(Debug)]
pub(crate) struct LoweredExec {
    /// What it runs.
    pub(crate) process: ProcessPlan,
    /// What it may do.
    pub(crate) confine: ConfinePlan,
    /// Who is asked about system calls.
    pub(crate) agent: Option<AgentAddress>,
    /// What decides about them.
    pub(crate) filter: Option<FilterOrigin>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Turns the process of the specification into plans for one that joins the container `id`. `available` are
/// the capabilities that it can get there. The seccomp profile is taken out of the specification.
pub(crate) fn lower_exec(
    spec: &mut Spec,
    id: &str,
    available: CapSet,
    rootless: bool,
    compiler: &Compiler,
) -> Result<LoweredExec> {
    let mut warnings = Vec::new();
    let mut process = process::lower(&spec.process, keyring(id, false), rootless)?;
    process.cpus = cpus::lower(&spec.process.exec_cpu_affinity)?;
    scheduling::lower(spec, &mut process)?;
    let confine = confine::lower(spec, available, compiler, &mut warnings)?;
    let Confinement { plan: confine, agent, filter } = confine;
    Ok(LoweredExec { process, confine, agent, filter, warnings })
}

/// Turns limits for a container that is there into plans; the rules for its devices are not among them.
pub(crate) fn lower_resources(
    oci: &coracle_spec::types::Resources,
    warnings: &mut Vec<String>,
) -> Result<Resources> {
    let limits = resources::lower(oci, &[], warnings)?;
    Ok(Resources { devices: Vec::new(), ..limits })
}

/// The name of a container's session keyring, as runc's.
fn keyring(id: &str, no_new_keyring: bool) -> Option<String> {
    (!no_new_keyring).then(|| format!("_ses.{id}"))
}

/// What the specification asks for and cannot have.
fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Spec { pointer: pointer.into(), message: message.into() }
}

#[cfg(test)]
mod tests;
