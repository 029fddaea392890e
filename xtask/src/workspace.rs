//! Where the workspace is.

use std::path::Path;

/// The workspace's root directory.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
