//! Seccomp filters, compiled in pure Rust.
//!
//! A [`Profile`] says which system calls a program may make; [`compile`] turns it into a [`BpfProgram`]
//! with the verdicts of runc and libseccomp; [`BpfProgram::load`] puts the caller under it. Compiling
//! asks the kernel nothing, so it can be done ahead, in another process, for another architecture; the
//! program travels [as bytes](BpfProgram::as_bytes).
//!
//! ```
//! use coracle_seccomp::{Action, Comparator, Operator, Profile, Rule, compile};
//!
//! # fn main() -> Result<(), coracle_seccomp::Error> {
//! let mut profile = Profile::new(Action::Errno(1));
//! profile.rules = vec![
//!     Rule::new(["read", "write", "close", "exit_group"], Action::Allow),
//!     Rule::new(["socket"], Action::Allow).when(Comparator::new(0, Operator::Equal, 1)), // AF_UNIX
//!     Rule::new(["ptrace"], Action::KillProcess),
//! ];
//! let program = compile(&profile)?;
//! println!("{} instructions", program.len());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod action;
mod arch;
mod cache;
mod compile;
mod error;
mod judge;
mod listener;
mod load;
mod opcode;
mod profile;
mod program;
mod table;
mod verify;

pub use action::Action;
pub use arch::Arch;
pub use cache::{Cache, CacheKey, CacheProblem};
pub use compile::{Outcome, Reason, compile, explain};
pub use coracle_sys::seccomp::{FilterFlags, SockFilter, action_available, supported_flags};
pub use error::Error;
pub use listener::{Call, Listener};
pub use load::{OCI_FLAGS, parse_flag};
pub use profile::{Comparator, Operator, Profile, Rule};
pub use program::BpfProgram;
