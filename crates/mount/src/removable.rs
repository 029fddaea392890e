//! Which mounts of a container can be taken away again.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use coracle_sys::procfs::ProcRoot;

use crate::rootfs::{identity, missing};
use crate::{Error, Result, Rootfs, mountinfo};

impl Rootfs {
    /// The mount on top at `path`, which must be the root of a mount, and neither that of the container nor
    /// one that it needs. `kept` are the places of the mounts that stay, as often as each has one: what is
    /// mounted on top of these can be removed.
    ///
    /// `proc` is the procfs of the caller's pid namespace, which need not be the container's.
    pub fn find_removable(
        &self,
        proc: &ProcRoot,
        path: &Path,
        kept: &[PathBuf],
    ) -> Result<OwnedFd> {
        let refused = |reason| Error::Kept { path: path.into(), reason };
        let failure = |errno| Error::target(path, "statx", path.display().to_string(), errno);
        let target = self.find(path)?.ok_or_else(|| missing(path))?;
        let id = identity(&target).map_err(failure)?;
        if id == identity(self).map_err(failure)? {
            return Err(refused("it is the root file system itself"));
        }
        let mounts = mountinfo::read_from(proc)
            .map_err(|source| Error::Target { path: path.into(), source })?;
        let by_id = |id| mounts.iter().find(|mount| mount.id == id);
        let mount = by_id(id.0).ok_or_else(|| refused("it cannot be seen from the root"))?;
        let Some(place) = self.find(&mount.path)? else { return Err(missing(path)) };
        if identity(&place).map_err(failure)? != id {
            return Err(refused("nothing is mounted there"));
        }
        let below = std::iter::successors(Some(mount), |mount| by_id(mount.parent));
        let depth = below.take_while(|other| other.path == mount.path).count();
        let is_there = |kept: &&PathBuf| {
            let found = self.find(kept).ok().flatten();
            found.is_some_and(|found| identity(found).is_ok_and(|found| found == id))
        };
        if depth <= kept.iter().filter(is_there).count() {
            return Err(refused("the container has had it from its creation"));
        }
        Ok(target.into())
    }
}
