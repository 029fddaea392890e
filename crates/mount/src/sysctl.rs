//! Kernel parameters of the container's namespaces; see sysctl(8).

use coracle_sys::procfs::ProcRoot;

use crate::{Error, Result};

/// Sets the kernel parameter `name` (`net.ipv4.ip_forward` or `net/ipv4/ip_forward`) as the caller's
/// namespaces see it. Which separator comes first in the name is the separator.
pub fn write_sysctl(proc: &ProcRoot, name: &str, value: &str) -> Result<()> {
    let path = match name.find(['.', '/']) {
        // In a name with dots a slash stands for a dot that is part of a component, as in eth0.1.
        Some(first) if name.as_bytes()[first] == b'.' => name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    };
    proc.write(&format!("sys/{path}"), value)
        .map_err(|source| Error::Sysctl { name: name.into(), source })
}
