//! Network devices: found, moved between network namespaces, given addresses.
//!
//! A [`Netlink`] socket belongs to the network namespace that it was opened in, for as long as it is open:
//! with two of them a program that stays where it is can move a device from one namespace to the other and
//! set it up there. The messages are those of rtnetlink(7); the few that are needed are encoded here, as a
//! library that knows them all would make a small program three times as large.
//!
//! ```no_run
//! use coracle_net::Netlink;
//!
//! let container = std::fs::File::open("/proc/4711/ns/net")?;
//! let (mut host, mut inside) = (Netlink::open()?, Netlink::open_in(&container)?);
//! if let Some(device) = host.link("eth1")? {
//!     let addresses = host.addresses(&device)?;
//!     host.move_link(&device, &container, "lan0")?;
//!     if let Some(device) = inside.link("lan0")? {
//!         for address in &addresses {
//!             inside.add_address(&device, address)?;
//!         }
//!         inside.set_up(&device)?;
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod address;
mod error;
mod link;
mod message;
mod socket;

pub use address::Address;
pub use error::{Error, Result};
pub use link::{Link, Nature};
pub use socket::Netlink;
