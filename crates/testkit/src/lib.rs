//! What the tests share: bundles, leak audits, a harness on the main thread.
//!
//! The tests drive the real `coracle` command, or another runtime with the same command line, on the
//! real kernel. A [`Suite`] runs them one after the other in mount and pid namespaces of its own, where
//! every process and every mount that a test leaves behind can only be the test's.
//!
//! The environment:
//!
//! - `CORACLE_BIN`: the command to be tested; else the newest that is built in `target`;
//! - `CORACLE_TEST_RUNTIME`: another runtime to be tested instead, as `/usr/bin/runc`;
//! - `CORACLE_TEST_RELOADS`: how often systemd is reloaded under a container;
//! - `CORACLE_TEST_ROUNDS`: how often that is done which may go wrong once in many times;
//! - `CORACLE_TEST_HOST_WIDE`: the tests stay in the host's namespaces, for those of systemd;
//! - `CORACLE_TEST_SLOW`: a factor for every deadline, on slow machines;
//! - `CORACLE_TEST_MAX_SKIPPED`: more skipped tests than that are a failure;
//! - `CORACLE_TEST_WITHOUT`: a system call that fails with `ENOSYS` for all that the tests run.

#![forbid(unsafe_code)]

mod audit;
mod bundle;
mod check;
mod command;
mod container;
mod context;
mod host;
mod masked;
mod mountinfo;
mod racer;
mod relay;
mod rootfs;
mod runtime;
mod socket;
mod stage;
mod suite;
mod terminal;
mod wait;

pub use bundle::Bundle;
pub use check::failure;
pub use command::{Background, Cmd, Output};
pub use container::Container;
pub use context::Context;
pub use host::{CgroupLayout, Host};
pub use mountinfo::{MountEntry, host_mounts, mounts_of, parse_mountinfo};
pub use racer::Racer;
pub use runtime::{Flavour, Runtime};
pub use socket::DescriptorServer;
pub use suite::{Suite, Test, TestFn, Verdict};
pub use terminal::TerminalSession;
pub use wait::{eventually, rounds, scaled};

/// What a test and most helpers return.
pub type Result<T, E = anyhow::Error> = anyhow::Result<T, E>;
