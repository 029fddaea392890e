//! The system calls a container needs and no other crate wraps, safe to call.
//!
//! This crate is the unsafe floor of the workspace: every other crate (but the fork in
//! `coracle-process`) forbids `unsafe`. Each module wraps one kernel facility, takes descriptors and
//! owned data, and returns a [`SyscallError`] that says which call failed with which arguments.

#![expect(unsafe_code, reason = "this crate is the workspace's unsafe floor")]

pub mod bit_list;
pub mod bpf;
pub mod clone;
mod error;
pub mod exec;
pub mod fd;
pub mod keyring;
pub mod landlock;
pub mod memfd;
pub mod mount_attr;
pub mod mountinfo;
pub mod net;
pub mod nsfs;
pub mod persona;
pub mod pidfd;
pub mod priority;
pub mod procfs;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod tracee;
pub mod unotify;
pub mod userns;
pub mod wait;

pub use error::{Errno, Named, Result, SyscallError};
