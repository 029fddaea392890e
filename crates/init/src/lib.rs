//! The sealed program that becomes a container's first process.
//!
//! The host writes a [`Plan`](plan::Plan): everything decided, nothing left to look up. It starts this
//! program from a sealed copy, hands over the plan and descriptors on standard input
//! ([`wire`]), and the program walks the plan: the *launcher* enters and creates namespaces, its child
//! builds the file system, confines itself and executes the container's command. The program has one
//! thread, nothing of the host's memory, and only the descriptors it was handed.
//!
//! A step that fails comes back as an [`InitError`] that names the step, the call and the errno.

#![forbid(unsafe_code)]

mod error;
mod launch;
pub mod plan;
mod setup;
pub mod wire;

pub use error::InitError;
pub use launch::main;
