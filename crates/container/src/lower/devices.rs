//! `/linux/devices`.

use std::path::{Path, PathBuf};

use coracle_mount::{DeviceKind, DeviceNode};
use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType};

use super::invalid;
use crate::Result;

/// The devices that every container has, unless its specification describes them otherwise.
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The nodes to be made; the default ones only if `/dev` is the container's own.
pub(super) fn lower(linux: &Linux, own_dev: bool) -> Result<Vec<DeviceNode>> {
    if !own_dev {
        return Ok(Vec::new());
    }
    let mut nodes: Vec<_> = DEFAULTS
        .iter()
        .map(|(path, major, minor)| DeviceNode {
            path: PathBuf::from(path),
            kind: DeviceKind::Character,
            major: *major,
            minor: *minor,
            mode: 0o666,
            uid: 0,
            gid: 0,
        })
        .collect();
    for (index, device) in linux.devices().iter().flatten().enumerate() {
        // Always the link to the container's own devpts.
        if device.path() == Path::new("/dev/ptmx") {
            continue;
        }
        let node = node(device, &format!("/linux/devices/{index}"))?;
        nodes.retain(|other| other.path != node.path);
        nodes.push(node);
    }
    Ok(nodes)
}

fn node(device: &LinuxDevice, pointer: &str) -> Result<DeviceNode> {
    let kind = match device.typ() {
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
        LinuxDeviceType::P => DeviceKind::Fifo,
        LinuxDeviceType::A => {
            return Err(invalid(format!("{pointer}/type"), "a node cannot be of all types"));
        }
    };
    let number = |name: &str, value: i64| {
        let message = format!("{value} is no device number");
        u32::try_from(value).map_err(|_| invalid(format!("{pointer}/{name}"), message))
    };
    let (major, minor) = match kind {
        DeviceKind::Fifo => (0, 0),
        _ => (number("major", device.major())?, number("minor", device.minor())?),
    };
    Ok(DeviceNode {
        path: device.path().clone(),
        kind,
        major,
        minor,
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or_default(),
        gid: device.gid().unwrap_or_default(),
    })
}
