//! User namespaces that nobody lives in.

use coracle_sys::procfs::ProcRoot;
use coracle_sys::userns::Occupant;

use super::{IdMap, write_maps};
use crate::{Error, NamespaceKind, NsFd, Result};

/// Makes a user namespace with these maps and no process: for id-mapped mounts; see mount_setattr(2).
///
/// Needs what writing the maps needs, see [`write_maps`]. `proc` must show the caller's pid namespace.
///
/// ```no_run
/// use coracle_ns::idmap::{IdMap, IdMapping, user_namespace};
/// use coracle_sys::procfs::ProcRoot;
///
/// // What belongs to root on the disk belongs to user 100000 on the mount.
/// let map = IdMap(vec![IdMapping { inside: 0, outside: 100_000, count: 65_536 }]);
/// let users = user_namespace(&ProcRoot::open()?, &map, &map)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn user_namespace(proc: &ProcRoot, uids: &IdMap, gids: &IdMap) -> Result<NsFd> {
    let kind = NamespaceKind::User;
    let occupant = Occupant::new().map_err(|source| Error::Create { kind, source })?;
    write_maps(proc, occupant.pid(), uids, gids)?;
    let process = occupant.pid().as_raw_nonzero().to_string();
    NsFd::of_process(proc, (&process, "user"), kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idmap::IdMapping;

    #[test]
    fn is_another_namespace_with_these_maps() {
        let id = rustix::process::geteuid().as_raw();
        let own = |outside| IdMap(vec![IdMapping { inside: 7, outside, count: 1 }]);
        let gid = rustix::process::getegid().as_raw();
        let namespace = user_namespace(&ProcRoot::open().unwrap(), &own(id), &own(gid)).unwrap();
        assert_eq!(namespace.kind(), NamespaceKind::User);
        assert!(!namespace.is_callers());
    }
}
