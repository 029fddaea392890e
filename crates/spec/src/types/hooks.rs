//! `/hooks`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#posix-platform-hooks>.

use std::path::PathBuf;

use serde::Deserialize;

/// Programs run at points of a container's life, each list in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Hooks {
    /// As `create_runtime`, which replaces it.
    pub prestart: Vec<Hook>,
    /// While the container is created, in the runtime's namespaces.
    pub create_runtime: Vec<Hook>,
    /// While the container is created, in its namespaces, before its root is changed.
    pub create_container: Vec<Hook>,
    /// When the container is started, in its namespaces, before its process runs.
    pub start_container: Vec<Hook>,
    /// After the container's process was started, in the runtime's namespaces.
    pub poststart: Vec<Hook>,
    /// After the container was deleted, in the runtime's namespaces.
    pub poststop: Vec<Hook>,
}

/// A program run at a point of a container's life, with the state of the container on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Hook {
    /// The program, absolute.
    pub path: PathBuf,
    /// Its arguments, its own name first.
    pub args: Vec<String>,
    /// Its environment, as `NAME=value`.
    pub env: Vec<String>,
    /// How many seconds it may take, at least 1.
    pub timeout: Option<u64>,
}
