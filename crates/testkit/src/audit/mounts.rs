//! The mounts of our own mount namespace.

use rustix::mount::{UnmountFlags, unmount};

use crate::{MountEntry, Result, host_mounts};

pub(super) fn differences(then: &[MountEntry], now: &[MountEntry]) -> Vec<String> {
    let line = |mount: &MountEntry| {
        let MountEntry { target, fstype, source, options, propagation, .. } = mount;
        format!("{fstype} {source} on {target} ({}) {}", options.join(","), propagation.join(" "))
    };
    let news = now.iter().filter(|mount| !then.contains(mount));
    let gone = then.iter().filter(|mount| !now.contains(mount));
    let news = news.map(|mount| format!("mount {}", line(mount)));
    news.chain(gone.map(|mount| format!("mount gone or changed: {}", line(mount)))).collect()
}

/// Unmounts what was mounted since, the latest first.
pub(super) fn remove_new(then: &[MountEntry]) -> Result<()> {
    let now = host_mounts()?;
    for mount in now.iter().rev().filter(|mount| !then.iter().any(|old| old.id == mount.id)) {
        // One that went with another is no loss.
        unmount(mount.target.as_str(), UnmountFlags::DETACH).unwrap_or_default();
    }
    Ok(())
}
