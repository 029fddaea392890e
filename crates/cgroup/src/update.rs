//! Changing limits of a cgroup that is in use: all or none.

use crate::{Cgroup, Error, Permissions, Resources, Skipped};

impl Cgroup {
    /// Sets limits as [`Cgroup::set`] does, but if one of them is refused all files that were written get
    /// back what was in them.
    ///
    /// `commit` is called when all is set, as to tell others; if it fails, everything is taken back, too.
    /// [`Resources::devices`] are not part of it: they are left as they are.
    pub fn update<E: From<Error>>(
        &self,
        resources: &Resources,
        permissions: Permissions,
        commit: impl FnOnce() -> Result<(), E>,
    ) -> Result<Vec<Skipped>, E> {
        let resources = Resources { devices: Vec::new(), ..resources.clone() };
        self.dirs().for_each(|dir| dir.journal().begin());
        let result = self.set(&resources, permissions).map_err(E::from);
        let result = result.and_then(|skipped| commit().map(|()| skipped));
        for dir in self.dirs() {
            for (file, value) in dir.journal().end().into_iter().rev().filter(|_| result.is_err()) {
                // What was refused is the error to report, and what a file had the kernel takes again.
                dir.write(&file, &value).unwrap_or_default();
            }
        }
        result
    }
}
