//! `/linux/netDevices`:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#network-devices>.

use std::collections::BTreeMap;

use super::report::{At, Fault, Report};
use super::schema::{Kind, Object, Verdict, field, free_object, object, text};
use super::{namespaces, text::interface};
use crate::json::{Map, Value};

pub(super) const DEVICES: Kind = Kind::Map(device, &DEVICE);

static DEVICE: Kind =
    Kind::Object(&Object { fields: &[field("name", Kind::Text(inside))], rule: free_object });

/// The name of a device on the host.
fn device(name: &str) -> Verdict {
    match name.contains('%') {
        true => Err(Fault::found_text(name, "the name of a network device, without `%`")),
        false => interface(name),
    }
}

/// A name in the container: at the end `%d` stands for the first number that makes it new.
fn inside(name: &str) -> Verdict {
    interface(name)?;
    let fixed = name.strip_suffix("%d").unwrap_or(name);
    match fixed.contains('%') {
        true => Err(Fault::found_text(name, "an interface name with `%d` at its end, or no `%`")),
        false => Ok(()),
    }
}

/// The rules between the devices, and with the namespaces.
pub(super) fn check(report: &mut Report, at: &At<'_>, linux: &Map<'_>) {
    let Some(devices) = object(linux, "netDevices").filter(|devices| !devices.is_empty()) else {
        return;
    };
    let at = at.key("netDevices");
    if !namespaces::has(linux, "network") {
        let fault = Fault::new("needs a network namespace of the container");
        report.error(&at, fault.hint(namespaces::ADD_NETWORK));
    }
    let mut names = BTreeMap::new();
    for (name, device) in devices.iter() {
        let inside = Value::as_object(device).and_then(|device| text(device, "name"));
        let (at, inside) = (at.key(name), inside.unwrap_or(name));
        if name == "lo" || inside == "lo" {
            report.error(&at, Fault::new("every network namespace has its own `lo`"));
        }
        if inside.ends_with("%d") {
            continue;
        }
        if let Some(other) = names.insert(inside, name) {
            let fault =
                Fault::new(format!("is named `{inside}` in the container, as `{other}` is"));
            report.error(&at, fault.hint("give each device a name of its own"));
        }
    }
}
