//! The tables of the runtime specification, and the rules between its fields.
//!
//! One module per subject: a table of fields (names, types, ranges) in the order of the specification,
//! and small functions for what a table cannot say.

mod capabilities;
mod devices;
mod document;
mod hooks;
mod idmap;
mod linux;
mod mounts;
mod namespaces;
mod nearest;
mod process;
mod report;
mod resources;
mod scheduling;
mod schema;
mod seccomp;
mod sysctl;
mod text;

pub(crate) use document::document;
pub(crate) use report::{At, Fault, Report};
pub use sysctl::sysctl_path;
