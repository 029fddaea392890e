//! The mounts of the caller's namespace, from /proc/self/mountinfo; see proc_pid_mountinfo(5).

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use coracle_sys::mountinfo::{MountLine, unescape};
use coracle_sys::procfs::ProcRoot;
use coracle_sys::{Errno, SyscallError};
use rustix::fs::{OFlags, makedev};

/// A mount that the caller can see from its root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountInfo {
    pub(crate) id: u64,
    /// The mount that it is mounted on.
    pub(crate) parent: u64,
    /// The number of its file system, as stat(2) has it.
    pub(crate) device: u64,
    /// What of the file system is mounted, as a path inside it.
    pub(crate) root: PathBuf,
    /// Where, from the caller's root.
    pub(crate) path: PathBuf,
    pub(crate) fstype: String,
}

/// All mounts, as the kernel lists them.
pub(crate) fn read() -> Result<Vec<MountInfo>, SyscallError> {
    read_from(&ProcRoot::open()?)
}

/// The same from the procfs of the caller's pid namespace, wherever that is mounted.
pub(crate) fn read_from(proc: &ProcRoot) -> Result<Vec<MountInfo>, SyscallError> {
    let mut file = File::from(proc.open_file("thread-self/mountinfo", OFlags::RDONLY)?);
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .map_err(|error| SyscallError::from_io("read", "/proc/thread-self/mountinfo", &error))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mounts: Option<_> = lines.map(parse).collect();
    mounts.ok_or_else(|| SyscallError::new("parse", "/proc/thread-self/mountinfo", Errno::PROTO))
}

fn parse(line: &[u8]) -> Option<MountInfo> {
    let MountLine { id, parent, device, root, path, fstype, .. } = MountLine::parse(line)?;
    let (root, path) = (unescape(root), unescape(path));
    let fstype = String::from_utf8_lossy(fstype).into_owned();
    Some(MountInfo { id, parent, device: makedev(device.0, device.1), root, path, fstype })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn sees_the_root() {
        assert!(read().unwrap().iter().any(|mount| mount.path == Path::new("/")));
    }
}
