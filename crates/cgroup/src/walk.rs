//! All cgroups below one, however deep.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType};
use rustix::io::{Errno, Result};

use crate::dir::open_dir;

/// Visits `top` and all below: `enter` gets each directory before those in it, `leave` the parent
/// and the name of each below `top` after those in it.
///
/// Holds one descriptor at a time, so no depth of the tree exceeds a limit of ours; what is
/// removed meanwhile is passed over.
pub(crate) fn walk(
    top: BorrowedFd<'_>,
    mut enter: impl FnMut(BorrowedFd<'_>) -> Result<()>,
    mut leave: impl FnMut(BorrowedFd<'_>, &CStr) -> Result<()>,
) -> Result<()> {
    let mut current = open_dir(top, c".")?;
    enter(current.as_fd())?;
    let mut names = Vec::new();
    let mut unvisited = vec![children(&current)?];
    while let Some(level) = unvisited.last_mut() {
        if let Some(name) = level.pop() {
            let Some(child) = unless_gone(open_dir(&current, name.as_c_str()))? else { continue };
            enter(child.as_fd())?;
            unvisited.push(children(&child)?);
            names.push(name);
            current = child;
        } else {
            unvisited.pop();
            let Some(name) = names.pop() else { break };
            current = open_dir(&current, c"..")?;
            leave(current.as_fd(), &name)?;
        }
    }
    Ok(())
}

/// The result, but nothing if a cgroup was removed meanwhile.
pub(crate) fn unless_gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Errno::NOENT | Errno::NODEV) => Ok(None),
        result => result.map(Some),
    }
}

fn children(directory: &OwnedFd) -> Result<Vec<CString>> {
    let Some(entries) = unless_gone(Dir::read_from(directory))? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let Some(entry) = unless_gone(entry)? else { break };
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_parents_before_and_after_their_children() {
        let temp = tempfile::tempdir().unwrap();
        for path in ["a/b/c", "a/d", "e"] {
            std::fs::create_dir_all(temp.path().join(path)).unwrap();
        }
        std::fs::write(temp.path().join("file"), "").unwrap();
        let top = open_dir(rustix::fs::CWD, temp.path()).unwrap();
        let mut entered = 0;
        let mut left = Vec::new();
        let enter = |_: BorrowedFd<'_>| {
            entered += 1;
            Ok(())
        };
        let leave = |parent: BorrowedFd<'_>, name: &CStr| {
            left.push(name.to_str().unwrap().to_owned());
            rustix::fs::unlinkat(parent, name, rustix::fs::AtFlags::REMOVEDIR)
        };
        walk(top.as_fd(), enter, leave).unwrap();
        assert_eq!(entered, 6);
        let position = |name| left.iter().position(|n| n == name).unwrap();
        assert!(position("c") < position("b") && position("b") < position("a"));
        assert!(position("d") < position("a"));
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }
}
