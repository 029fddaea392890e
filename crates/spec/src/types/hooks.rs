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

impl Hooks {
    /// The names of the lists in documents, in the order in which they are run.
    pub const NAMES: [&str; 6] =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_a_name() {
        let hook = || serde_json::json!([{"path": "/bin/true"}]);
        let all: serde_json::Map<_, _> =
            Hooks::NAMES.into_iter().map(|name| (name.to_owned(), hook())).collect();
        let Hooks {
            prestart,
            create_runtime,
            create_container,
            start_container,
            poststart,
            poststop,
        } = serde_json::from_value(all.into()).unwrap();
        let lists =
            [prestart, create_runtime, create_container, start_container, poststart, poststop];
        assert!(lists.iter().all(|list| list.len() == 1));
    }
}
