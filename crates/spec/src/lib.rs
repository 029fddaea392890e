//! OCI runtime bundles: loaded, checked, explained.
//!
//! A [`Bundle`] is a directory with a `config.json`. [`Bundle::load`] parses that document once, walks
//! it against tables of the runtime specification (version [`OCI_VERSION`]) and reports *every* problem
//! at once, each with a JSON pointer, what was found, what is allowed and a hint. What passes becomes a
//! typed [`Spec`] inside a [`LoadedSpec`]; what was only suspicious is kept in
//! [`LoadedSpec::warnings`]. Nothing is dropped silently.
//!
//! ```no_run
//! let bundle = coracle_spec::Bundle::open("/bundles/web")?;
//! let loaded = bundle.load()?;
//! for warning in &loaded.warnings {
//!     eprintln!("warning: {warning}");
//! }
//! # Ok::<(), coracle_spec::Error>(())
//! ```

#![forbid(unsafe_code)]

mod bundle;
mod defaults;
mod error;
pub mod features;
mod id;
mod json;
mod load;
pub mod types;
mod validate;

pub use bundle::{Bundle, CONFIG_SIZE_LIMIT, read_document};
pub use defaults::{default_document, default_spec, write_default};
pub use error::{Error, Result, Violation};
pub use features::Features;
pub use id::ContainerId;
pub use load::{LoadedMounts, LoadedProcess, LoadedResources, LoadedSpec};
pub use types::Spec;
pub use validate::sysctl_path;

/// The version of the runtime specification whose fields this crate knows.
pub const OCI_VERSION: &str = "1.3.0";
