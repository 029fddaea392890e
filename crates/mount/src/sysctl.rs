//! Kernel parameters of the container's namespaces; see sysctl(8).

use coracle_sys::procfs::ProcRoot;

use crate::{Error, Result};

/// Sets the kernel parameter in the file `path` below `/proc/sys` (`net/ipv4/ip_forward`), as the
/// caller's namespaces see it.
pub fn write_sysctl(proc: &ProcRoot, path: &str, value: &str) -> Result<()> {
    proc.write(&format!("sys/{path}"), value)
        .map_err(|source| Error::Sysctl { name: path.into(), source })
}
