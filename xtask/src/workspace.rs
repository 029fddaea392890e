//! Where the workspace is.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Cargo says it at run time. At compile time it may have been another, with the same target
/// directory.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent().map_or(here.clone(), Path::to_owned)
});

/// The workspace's root directory.
pub fn root() -> &'static Path {
    &ROOT
}
