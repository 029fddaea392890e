//! `/linux/netDevices`.

use coracle_spec::Spec;

use super::invalid;
use crate::Result;

/// A network device of the host that is to move into the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedDevice {
    /// Its name on the host.
    pub(crate) name: String,
    /// Its name in the container; with `%d` the first free one of that form.
    pub(crate) inside: String,
}

impl WantedDevice {
    /// The field that asks for it.
    pub(crate) fn pointer(&self) -> String {
        format!("/linux/netDevices/{}", self.name.replace('~', "~0"))
    }
}

pub(super) fn lower(spec: &Spec, rootless: bool) -> Result<Vec<WantedDevice>> {
    let devices = &spec.linux.net_devices;
    if rootless && !devices.is_empty() {
        let message = "only root can move network devices of the host: remove them, or run as root";
        return Err(invalid("/linux/netDevices", message));
    }
    let wanted = devices.iter().map(|(name, device)| WantedDevice {
        name: name.clone(),
        inside: device.name.as_ref().unwrap_or(name).clone(),
    });
    Ok(wanted.collect())
}
