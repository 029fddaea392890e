//! Labels and profiles of security modules that this host may not have.

use coracle_spec::types::Process;

use crate::{Error, Result};

/// Refuses what no module of this host would keep, before anything is done.
pub(crate) fn check(process: &Process) -> Result<()> {
    let Process { apparmor_profile, selinux_label, .. } = process;
    if apparmor_profile.is_some() && !coracle_lsm::apparmor_is_enabled() {
        return Err(missing("/process/apparmorProfile", "AppArmor", "profile"));
    }
    if selinux_label.is_some() && !coracle_lsm::selinux_is_enabled() {
        return Err(missing("/process/selinuxLabel", "SELinux", "label"));
    }
    Ok(())
}

fn missing(pointer: &str, module: &str, what: &str) -> Error {
    let message = format!(
        "{module} is not enabled on this host: take out the {what}, or boot the host with {module}"
    );
    Error::Spec { pointer: pointer.into(), message }
}
