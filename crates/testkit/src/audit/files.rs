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
    let left = found.iter().filter(|path| !is_kept(path));
    left.map(|path| format!("file {}", path.display())).collect()
}

/// Is it the cache of compiled seccomp filters, or an entry of it, which stay for the next start?
pub(super) fn is_kept(path: &Path) -> bool {
    let is_cache = |path: &Path| path.file_name().is_some_and(|name| name == "@seccomp");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_entry = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_cache(path) || is_entry && path.parent().is_some_and(is_cache)
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
