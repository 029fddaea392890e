//! Device nodes and the usual links in `/dev`.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use coracle_sys::{Errno, SyscallError};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, makedev, mknodat, openat, symlinkat,
    unlinkat,
};
use serde::{Deserialize, Serialize};

use crate::{DetachedMount, Error, Leaf, Result, Rootfs, Target};

/// What a device node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// A device node to be made; see mknod(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNode {
    /// Where, as the container sees it.
    pub path: PathBuf,
    /// What.
    pub kind: DeviceKind,
    /// Its major number; 0 for a FIFO.
    pub major: u32,
    /// Its minor number; 0 for a FIFO.
    pub minor: u32,
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// The links that programs expect in `/dev`.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

impl DeviceKind {
    fn file_type(self) -> FileType {
        match self {
            Self::Character => FileType::CharacterDevice,
            Self::Block => FileType::BlockDevice,
            Self::Fifo => FileType::Fifo,
        }
    }
}

impl DetachedMount {
    /// A copy of the device node at `path` of the caller, which must have this kind and number.
    pub(crate) fn copy_of_device(
        path: &Path,
        kind: DeviceKind,
        (major, minor): (u32, u32),
    ) -> Result<Self> {
        let device = Self::copy_of_path(path, false)?;
        let stat = fstat(&device).map_err(|errno| device_failure(path, "fstat", errno))?;
        let found = (FileType::from_raw_mode(stat.st_mode), stat.st_rdev);
        if found == (kind.file_type(), makedev(major, minor)) {
            Ok(device)
        } else {
            Err(device_failure(path, "verify the host's device", Errno::NODEV))
        }
    }
}

impl Rootfs {
    /// Makes the node. `CAP_MKNOD` in the initial user namespace, unless it is a FIFO.
    ///
    /// What is already there must be that device. The caller's umask must be 0.
    pub fn make_device(&self, node: &DeviceNode) -> Result<()> {
        let (parent, name) = self.parent_of(&node.path)?;
        let failure = |call, errno| device_failure(&node.path, call, errno);
        let kind = node.kind.file_type();
        let number = makedev(node.major, node.minor);
        let mode = Mode::from_bits_truncate(node.mode);
        match mknodat(&parent, name, kind, mode, number) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failure("mknodat", errno)),
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent, name, flags, Mode::empty())
            .map_err(|errno| failure("openat", errno))?;
        let stat = fstat(&made).map_err(|errno| failure("fstat", errno))?;
        let same_number = node.kind == DeviceKind::Fifo || stat.st_rdev == number;
        if FileType::from_raw_mode(stat.st_mode) != kind || !same_number {
            return Err(failure("verify existing file", Errno::EXIST));
        }
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        chownat(&made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .map_err(|errno| failure("fchownat", errno))
    }

    /// Puts the host's node of the same path and number in its place: for user namespaces, in which no
    /// device can be made, but for FIFOs. The caller's root must still be the host's.
    pub fn bind_device(&self, node: &DeviceNode) -> Result<()> {
        if node.kind == DeviceKind::Fifo {
            return self.make_device(node);
        }
        let device =
            DetachedMount::copy_of_device(&node.path, node.kind, (node.major, node.minor))?;
        let target = self.target(&node.path, Leaf::File)?;
        device.attach(&target).map(drop)
    }

    /// Makes `/dev/fd`, `/dev/stdin`, `/dev/stdout`, `/dev/stderr` and `/dev/core`, and lets `/dev/ptmx`
    /// be that of the container's own devpts. What is already there stays, but for `ptmx`.
    pub fn make_device_links(&self) -> Result<()> {
        let dev = self.dev()?;
        let core = Some(("/proc/kcore", "core")).filter(|_| Path::new("/proc/kcore").exists());
        for (text, name) in LINKS.into_iter().chain(core) {
            link(&dev, text, name)?;
        }
        match unlinkat(&dev, "ptmx", AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => link(&dev, "pts/ptmx", "ptmx"),
            Err(errno) => Err(device_failure(Path::new("/dev/ptmx"), "unlinkat", errno)),
        }
    }

    /// The container's `/dev`, which must not be a link: nodes would be made wherever it points.
    pub(crate) fn dev(&self) -> Result<Target> {
        self.ordinary_directory(Path::new("/dev"))
    }

    fn parent_of<'path>(&self, path: &'path Path) -> Result<(Target, &'path std::ffi::OsStr)> {
        let name = path.file_name().ok_or_else(|| device_failure(path, "mknodat", Errno::INVAL))?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        let parent = if parent == Path::new("/dev") {
            self.dev()?
        } else {
            crate::inroot::create(self, parent, Leaf::Directory)?
        };
        Ok((parent, name))
    }
}

fn link(dev: impl AsFd, text: &str, name: &str) -> Result<()> {
    match symlinkat(text, dev, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(device_failure(&Path::new("/dev").join(name), "symlinkat", errno)),
    }
}

fn device_failure(path: &Path, call: &'static str, errno: Errno) -> Error {
    let source = SyscallError::new(call, path.display().to_string(), errno);
    Error::Device { path: path.into(), source }
}
