//! The names of a uts namespace.

use coracle_sys::SyscallError;

use crate::{Error, Result};

/// Sets the host name of the caller's uts namespace; at most 64 bytes. `CAP_SYS_ADMIN` in its owner.
pub fn set_hostname(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).map_err(|errno| Error::Name {
        what: "hostname",
        source: SyscallError::new("sethostname", format!("{name:?}"), errno),
    })
}

/// Sets the NIS domain name of the caller's uts namespace; at most 64 bytes. `CAP_SYS_ADMIN` in its owner.
pub fn set_domainname(name: &str) -> Result<()> {
    rustix::system::setdomainname(name.as_bytes()).map_err(|errno| Error::Name {
        what: "domainname",
        source: SyscallError::new("setdomainname", format!("{name:?}"), errno),
    })
}
