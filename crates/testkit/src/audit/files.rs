//! Files, and open ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// All that is in these directories, at any depth.
pub(super) fn below(directories: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for directory in directories {
        collect(directory, &mut found);
    }
    found
}

fn collect(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
        found.insert(entry.path());
    }
}

/// Sentences on what is in directories that must be empty, or not be there.
pub(super) fn not_empty(directories: &[PathBuf]) -> Vec<String> {
    let found = below(directories);
    found.iter().map(|path| format!("file {}", path.display())).collect()
}

/// Removes what was made since.
pub(super) fn remove_new(directories: &[PathBuf], then: &BTreeSet<PathBuf>) {
    // Reversed, so that directories come after what is in them.
    for path in below(directories).iter().rev().filter(|path| !then.contains(*path)) {
        fs::remove_file(path).or_else(|_| fs::remove_dir(path)).unwrap_or_default();
    }
}

/// The descriptors of this process, but for the one that reads the list.
pub(super) fn open_descriptors() -> Result<BTreeMap<i32, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.insert(number, target.display().to_string());
        }
    }
    // The list itself was open; by now it is not.
    found.retain(|_, target| !target.starts_with("/proc/") || !target.ends_with("/fd"));
    Ok(found)
}
