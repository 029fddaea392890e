//! The cgroups that are ours by their names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Scope;

/// All with the tag in their path, in every hierarchy.
pub(super) fn tagged(scope: &Scope) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for root in &scope.hierarchies {
        walk(root, &mut |directory| {
            if directory.to_string_lossy().contains(&scope.tag) {
                found.insert(directory.to_owned());
            }
        });
    }
    found
}

fn walk(directory: &Path, see: &mut impl FnMut(&Path)) {
    // One that goes while we look has nothing below it.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        see(&entry.path());
        walk(&entry.path(), see);
    }
}

/// Removes what was made since, the deepest first; its processes must have ended.
pub(super) fn remove_new(scope: &Scope, then: &BTreeSet<PathBuf>) {
    for directory in tagged(scope).iter().rev().filter(|path| !then.contains(*path)) {
        fs::remove_dir(directory).unwrap_or_default();
    }
}

/// Thaws what is frozen, as frozen processes of v1 do not die.
pub(super) fn thaw(pid: i32) {
    let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let path = memberships.lines().find_map(|line| line.split_once(":freezer:"));
    if let Some((_, path)) = path {
        let state = format!("/sys/fs/cgroup/freezer{path}/freezer.state");
        fs::write(state, "THAWED").unwrap_or_default();
    }
}
