//! The rights in `/process`, and `/linux/seccomp`.

use std::collections::HashSet;

use coracle_caps::{CapSet, CapabilityPlan};
use coracle_init::plan::ConfinePlan;
use oci_spec::runtime::{Capability, Linux, LinuxCapabilities, Spec};

use super::{required, seccomp};
use crate::Result;

pub(super) fn lower(
    spec: &Spec,
    linux: &Linux,
    available: CapSet,
    warnings: &mut Vec<String>,
) -> Result<ConfinePlan> {
    let process = required(spec.process().as_ref(), "/process")?;
    let asked = process.capabilities().as_ref().map(capabilities).unwrap_or_default();
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
    let filter = linux.seccomp().as_ref().map(|profile| seccomp::lower(profile, warnings));
    Ok(ConfinePlan {
        capabilities: given,
        no_new_privileges: process.no_new_privileges().unwrap_or_default(),
        seccomp: filter.transpose()?.flatten(),
        apparmor: process.apparmor_profile().clone().filter(|profile| !profile.is_empty()),
        selinux: process.selinux_label().clone().filter(|label| !label.is_empty()),
    })
}

fn capabilities(oci: &LinuxCapabilities) -> CapabilityPlan {
    CapabilityPlan {
        bounding: set(oci.bounding()),
        effective: set(oci.effective()),
        permitted: set(oci.permitted()),
        inheritable: set(oci.inheritable()),
        ambient: set(oci.ambient()),
    }
}

fn set(oci: &Option<HashSet<Capability>>) -> CapSet {
    // Names that this kernel's headers do not know were warned about when the document was read.
    let named = |capability: &Capability| CapSet::named(&format!("CAP_{capability}"));
    oci.iter().flatten().filter_map(named).collect()
}
