//! What can go wrong with network devices.

use coracle_sys::SyscallError;

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that could not be done with network devices.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no socket to the kernel.
    #[error("cannot ask the kernel about network devices")]
    Connect(#[source] SyscallError),
    /// The network namespace could not be entered.
    #[error("cannot look into the network namespace")]
    Enter(#[source] SyscallError),
    /// The kernel does not tell what there is.
    #[error("cannot list {what}")]
    List {
        /// Network devices or their addresses.
        what: &'static str,
        /// Why.
        source: SyscallError,
    },
    /// The device stays where it is, or has moved without its new name.
    #[error("cannot move the network device {name}")]
    Move {
        /// Its name.
        name: String,
        /// Why.
        source: SyscallError,
    },
    /// The device did not get an address.
    #[error("cannot give the network device {name} the address {address}")]
    Address {
        /// The device.
        name: String,
        /// The address with the length of its prefix.
        address: String,
        /// Why.
        source: SyscallError,
    },
    /// The device stays down.
    #[error("cannot bring the network device {name} up")]
    Up {
        /// Its name.
        name: String,
        /// Why.
        source: SyscallError,
    },
}

impl Error {
    /// What the kernel said.
    pub fn errno(&self) -> coracle_sys::Errno {
        match self {
            Self::Connect(source)
            | Self::Enter(source)
            | Self::List { source, .. }
            | Self::Move { source, .. }
            | Self::Address { source, .. }
            | Self::Up { source, .. } => source.errno(),
        }
    }
}
