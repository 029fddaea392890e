//! Makes controllers available in a v2 cgroup: each must be enabled in every cgroup above.

use std::path::{Path, PathBuf};

use crate::dir::Dir;
use crate::{Error, Result, Skipped};

const CONTROL: &str = "cgroup.subtree_control";

/// Enables controllers for the children of `parent`, from the mount point down. Returns those
/// that could not be enabled and why.
pub(crate) fn enable(mount_point: &Path, parent: &Path, wanted: &[String]) -> Result<Vec<Skipped>> {
    // Usually all is as wanted, which one look at the last tells.
    if missing(&Dir::new(parent.to_owned()), wanted)?.is_empty() {
        return Ok(Vec::new());
    }
    let below = parent.strip_prefix(mount_point).unwrap_or(Path::new(""));
    let mut directory = mount_point.to_owned();
    let mut refused = enable_in(&directory, wanted)?;
    for name in below {
        directory.push(name);
        for (controller, error) in enable_in(&directory, wanted)? {
            // What the first directory refused, those below refuse for want of it.
            if !refused.iter().any(|(known, _)| *known == controller) {
                refused.push((controller, error));
            }
        }
    }
    Ok(refused.into_iter().map(|(controller, reason)| Skipped { controller, reason }).collect())
}

/// Waits until controllers that somebody enables at this moment are there in a cgroup that exists already: to
/// enable them once more changes nothing, but has its turn after that.
pub(crate) fn await_others(dir: &Dir) {
    let Some(parent) = dir.path().parent() else { return };
    let parent = Dir::new(parent.to_owned());
    let enabled = parent.read_if_there(CONTROL).ok().flatten().unwrap_or_default();
    let all = request(enabled.split_whitespace());
    if !all.is_empty() {
        // Who may not has nobody to wait for: they are enabled by whoever made it.
        parent.write(CONTROL, &all).unwrap_or_default();
    }
}

/// Enables a controller for one cgroup whose mount point has yet to be found.
pub(crate) fn enable_for(dir: &Dir, controller: &str) -> Result<()> {
    let available = dir.read("cgroup.controllers")?;
    if available.split_whitespace().any(|name| name == controller) {
        return Ok(());
    }
    if let (Some(mount_point), Some(parent)) = (mount_point_of(dir.path()), dir.path().parent()) {
        enable(&mount_point, parent, &[controller.to_owned()])?;
    }
    // Whether that helped, the write that wants it will tell.
    Ok(())
}

fn mount_point_of(path: &Path) -> Option<PathBuf> {
    let is_root = |path: &&Path| crate::dir::is_mount_root(rustix::fs::CWD, *path).unwrap_or(false);
    path.ancestors().find(is_root).map(Path::to_owned)
}

/// Enables what one directory lacks; returns what it refuses.
fn enable_in(directory: &Path, wanted: &[String]) -> Result<Vec<(String, Error)>> {
    let dir = Dir::new(directory.to_owned());
    let missing = missing(&dir, wanted)?;
    let all = request(missing.iter().map(String::as_str));
    if all.is_empty() || dir.write(CONTROL, &all).is_ok() {
        return Ok(Vec::new());
    }
    // The kernel takes all or none; find the culprit.
    let one_by_one = missing.into_iter().filter_map(|name| {
        dir.write(CONTROL, &request([name.as_str()])).err().map(|error| (name, error))
    });
    Ok(one_by_one.collect())
}

/// What is written to have these enabled.
fn request<'name>(names: impl IntoIterator<Item = &'name str>) -> String {
    let signed: Vec<_> = names.into_iter().map(|name| format!("+{name}")).collect();
    signed.join(" ")
}

fn missing(dir: &Dir, wanted: &[String]) -> Result<Vec<String>> {
    let enabled = dir.read_if_there(CONTROL)?.unwrap_or_default();
    let is_missing = |name: &&String| !enabled.split_whitespace().any(|known| known == *name);
    Ok(wanted.iter().filter(is_missing).cloned().collect())
}
