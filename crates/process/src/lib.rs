//! Processes without races: pidfds, exit states, credentials, limits, terminals, channels.
//!
//! ```
//! use coracle_process::{PidFd, ExitStatus};
//!
//! let child = std::process::Command::new("true").spawn()?;
//! let pidfd = PidFd::open(child.id().try_into()?)?;
//! assert_eq!(pidfd.wait()?, ExitStatus::Exited(0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]

mod channel;
mod clone;
mod credentials;
pub mod env;
mod error;
mod exec;
mod forward;
mod helper;
mod identity;
mod pidfd;
mod pty;
mod rlimit;
mod scheduling;
mod signal;
mod terminal;
mod wait;

pub use channel::{Channel, MAX_DESCRIPTORS, Message};
pub use clone::{SingleThreaded, fork};
pub use coracle_sys::clone::{CloneArgs, Forked};
pub use credentials::Credentials;
pub use error::{Error, Result};
pub use exec::{Program, find_executable};
pub use forward::{Foreground, Orphans};
pub use helper::Helper;
pub use identity::ProcessRef;
pub use pidfd::PidFd;
pub use pty::{Pty, RawMode, WindowSize, keep_newlines, window_size};
pub use rlimit::{Rlimit, RlimitKind, UNLIMITED};
pub use scheduling::{IoPriority, MemoryPolicy, Personality, Scheduler};
pub use signal::{BlockedSignals, Signal, SignalFd};
pub use terminal::Terminal;
pub use wait::ExitStatus;
