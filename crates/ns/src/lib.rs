//! Linux namespaces and id maps.
//!
//! [`NamespaceKind`] names the eight kinds, [`NsFd`] is a verified descriptor of one, [`join_all`] enters
//! several in an order that the kernel accepts, and [`idmap`] writes the id maps of user namespaces, with
//! newuidmap(1) and newgidmap(1) where the caller may not write them itself.
//!
//! Entering most namespaces needs a process with one thread, so a program with threads does it in a
//! child: that is what the `coracle` crate's launcher is for.
//!
//! ```
//! use coracle_ns::{NamespaceKind, NsFd};
//!
//! let net = NsFd::open("/proc/self/ns/net", NamespaceKind::Net)?;
//! assert_eq!(net.kind(), NamespaceKind::Net);
//! assert!(NsFd::open("/proc/self/ns/net", NamespaceKind::Ipc).is_err());
//! # Ok::<(), coracle_ns::Error>(())
//! ```

#![forbid(unsafe_code)]

mod error;
mod fd;
pub mod idmap;
mod join;
mod kind;
mod pin;
mod time;
mod uts;

pub use error::{Error, Result};
pub use fd::NsFd;
pub use join::{join_all, join_process, unshare};
pub use kind::{KindSet, NamespaceKind};
pub use pin::unpin;
pub use time::{ClockOffset, Clocks, TimeOffsets};
pub use uts::{set_domainname, set_hostname};
