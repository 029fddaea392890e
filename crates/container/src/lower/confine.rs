//! The rights in `/process`, and `/linux/seccomp`.

use coracle_caps::{CapSet, CapabilityPlan};
use coracle_init::plan::ConfinePlan;
use coracle_spec::Spec;
use coracle_spec::types::Capabilities;

use super::landlock;
use super::seccomp::{Compiler, FilterOrigin, Lowered};
use crate::Result;
use crate::agent::AgentAddress;

/// What the container may do.
#[derive(Debug)]
pub(super) struct Confinement {
    pub(super) plan: ConfinePlan,
    /// Who is asked about system calls.
    pub(super) agent: Option<AgentAddress>,
    pub(super) filter: Option<FilterOrigin>,
}

pub(super) fn lower(
    spec: &mut Spec,
    available: CapSet,
    compiler: &Compiler,
    warnings: &mut Vec<String>,
) -> Result<Confinement> {
    let filter = spec.linux.seccomp.take().map(|profile| compiler.lower(profile, warnings));
    let (seccomp, agent, filter) = match filter.transpose()?.flatten() {
        Some(Lowered { plan, agent, origin }) => (Some(plan), agent, Some(origin)),
        None => (None, None, None),
    };
    let process = &spec.process;
    let asked = capabilities(&process.capabilities);
    let missing = asked.union() - available;
    if !missing.is_empty() {
        warnings.push(format!("/process/capabilities: this host cannot give {missing}"));
    }
    let mut given = asked.restricted_to(available);
    let stray = given.ambient - (given.inheritable & given.permitted);
    if !stray.is_empty() {
        warnings.push(format!(
            "/process/capabilities/ambient: ignoring {stray}: not inheritable and permitted"
        ));
        given.ambient = given.ambient - stray;
    }
    let landlock = landlock::lower(spec, landlock_version, warnings)?;
    let plan = ConfinePlan {
        capabilities: given,
        no_new_privileges: process.no_new_privileges,
        seccomp,
        apparmor: process.apparmor_profile.clone(),
        selinux: process.selinux_label.clone(),
        landlock,
    };
    Ok(Confinement { plan, agent, filter })
}

/// Of the kernel, which is asked only where rules are.
fn landlock_version() -> Result<u32> {
    coracle_lsm::landlock::version().map_err(|error| {
        super::invalid("/annotations", format!("cannot ask for Landlock: {error}"))
    })
}

fn capabilities(oci: &Capabilities) -> CapabilityPlan {
    CapabilityPlan {
        bounding: set(&oci.bounding),
        effective: set(&oci.effective),
        permitted: set(&oci.permitted),
        inheritable: set(&oci.inheritable),
        ambient: set(&oci.ambient),
    }
}

fn set(names: &[String]) -> CapSet {
    // Unknown ones were warned of and dropped when the document was read.
    names.iter().filter_map(|name| CapSet::named(name)).collect()
}
