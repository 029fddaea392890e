//! `cpuset` of v1; see cpusets.rst.
//!
//! A new cpuset is empty, and no process can enter an empty one. So each gets what its parent
//! has. Setting it is the same as on v2.

use std::path::Path;

use crate::Result;
use crate::dir::Dir;

/// Gives a cpuset that lacks them the processors and memory nodes of its parent, and that one
/// before it, up to the mount point. Returns what it has. A new one is known to lack them.
pub(crate) fn inherit(mount_point: &Path, path: &Path, is_new: bool) -> Result<[String; 2]> {
    const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
    let dir = Dir::new(path.to_owned());
    let mut own = match is_new {
        true => Default::default(),
        false => [dir.read(FILES[0])?, dir.read(FILES[1])?],
    };
    let parent = path.parent().filter(|parent| parent.starts_with(mount_point));
    let Some(parent) = parent.filter(|_| own.iter().any(|value| value.trim().is_empty())) else {
        return Ok(own);
    };
    let inherited = inherit(mount_point, parent, false)?;
    for ((file, own), inherited) in FILES.iter().zip(&mut own).zip(inherited) {
        if own.trim().is_empty() {
            dir.write(file, &inherited)?;
            *own = inherited;
        }
    }
    Ok(own)
}
