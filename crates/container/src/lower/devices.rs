//! `/linux/devices`.

use std::path::{Path, PathBuf};

use coracle_mount::{DeviceKind, DeviceNode};
use coracle_spec::types::{Device, NodeType};

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
pub(super) fn lower(devices: &[Device], own_dev: bool) -> Vec<DeviceNode> {
    if !own_dev {
        return Vec::new();
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
    // That is always the link to the container's own devpts.
    for device in devices.iter().filter(|device| device.path != Path::new("/dev/ptmx")) {
        nodes.retain(|node| node.path != device.path);
        nodes.push(node(device));
    }
    nodes
}

fn node(device: &Device) -> DeviceNode {
    let (kind, major, minor) = match device.kind {
        NodeType::Block => (DeviceKind::Block, device.major, device.minor),
        NodeType::Char => (DeviceKind::Character, device.major, device.minor),
        NodeType::Fifo => (DeviceKind::Fifo, 0, 0),
    };
    DeviceNode {
        path: device.path.clone(),
        kind,
        major,
        minor,
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        uid: device.uid,
        gid: device.gid,
    }
}
