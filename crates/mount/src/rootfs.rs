//! The root file system of a container while it is built.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use coracle_sys::{Errno, SyscallError};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, fstatfs, open, openat2, readlinkat, statx,
};
use rustix::mount::{MountPropagationFlags, mount_change};

use crate::anchors::Anchors;
use crate::copy_up::copy_tree;
use crate::{
    Attributes, DetachedMount, Error, Filesystem, Leaf, MountFlags, Parameter, Propagation,
    PropagationKind, Result, Target, classic, inroot,
};

const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// Files of procfs that LXCFS and others stand in for. Anything else there could hide the kernel's view.
const REPLACEABLE: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// A root file system that is mounted, but not yet anybody's root.
#[derive(Debug)]
pub struct Rootfs {
    fd: OwnedFd,
    /// Mount and inode, to tell it from what is below.
    identity: (u64, u64),
    anchors: Anchors,
}

impl Rootfs {
    /// Mounts `tree` on the directory `path` in the caller's mount namespace, which should be a new one: there
    /// hooks expect it. If the caller cannot get there, it is mounted over the root of the namespace.
    ///
    /// Before, all mounts of the namespace get the propagation `outside`, which must keep ours from the host.
    pub fn mount(tree: DetachedMount, path: &Path, outside: Propagation) -> Result<Self> {
        let pivot = |call, args: &str, errno| Error::Pivot(SyscallError::new(call, args, errno));
        let mut flags = match outside.kind {
            PropagationKind::Private => MountPropagationFlags::PRIVATE,
            _ => MountPropagationFlags::DOWNSTREAM,
        };
        flags.set(MountPropagationFlags::REC, outside.recursive);
        mount_change("/", flags).map_err(|errno| pivot("mount", "/, propagation", errno))?;
        outside.apply(&tree)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(place) => tree.attach_at(place),
            Err(_) => tree.attach_over_root(),
        };
        Self::opened(fd.map_err(Error::Pivot)?)
    }

    /// The caller's own root, after it has entered the mount namespace of a container.
    pub fn of_caller() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failure = |errno| Error::Pivot(SyscallError::new("open", "/", errno));
        Self::opened(open("/", flags, Mode::empty()).map_err(failure)?)
    }

    fn opened(fd: OwnedFd) -> Result<Self> {
        let failure = |errno| Error::Pivot(SyscallError::new("statx", "root file system", errno));
        let identity = identity(&fd).map_err(failure)?;
        Ok(Self { fd, identity, anchors: Anchors::default() })
    }

    /// A new file system of type `filesystem` on `path`.
    ///
    /// procfs and sysfs only go onto real directories, and a tmpfs takes over the mode of a directory that it covers.
    pub fn mount_filesystem(
        &mut self,
        path: &Path,
        filesystem: &Filesystem,
        attributes: &Attributes,
    ) -> Result<OwnedFd> {
        let target = match filesystem.fstype.as_str() {
            "proc" | "sysfs" => self.ordinary_directory(path)?,
            _ => self.target(path, Leaf::Directory)?,
        };
        let mut filesystem = filesystem.clone();
        if filesystem.fstype == "tmpfs" && !target.is_new() {
            // It shows the mode of the directory that it covers, unless it is told another.
            let mode = format!("{:o}", target.mode()? & 0o7777);
            filesystem.parameters.insert(0, Parameter::new("mode", mode));
        }
        let readonly = (attributes.set | attributes.recursive_set).contains(MountFlags::RDONLY);
        if readonly && filesystem.source.as_ref().is_some_and(|source| source.starts_with('/')) {
            // A driver must not write to a device that may not be written.
            filesystem.parameters.push(Parameter::parse("ro"));
        }
        let mounted = attach_new(&target, &filesystem, attributes)?;
        self.note(path, mounted)
    }

    /// Puts a copy of existing mounts on `path`.
    pub fn bind(
        &mut self,
        path: &Path,
        tree: DetachedMount,
        attributes: &Attributes,
    ) -> Result<OwnedFd> {
        let target = self.target(path, leaf_for(&tree)?)?;
        let mounted = attach_copy(&target, tree, attributes)?;
        self.note(path, mounted)
    }

    /// The same, but a symbolic link at `path` is covered, not followed.
    pub fn bind_over_link(
        &mut self,
        path: &Path,
        tree: DetachedMount,
        attributes: &Attributes,
    ) -> Result<OwnedFd> {
        let target = inroot::create_over_link(&self.fd, path, leaf_for(&tree)?)?;
        self.check_target(path, &target)?;
        let mounted = attach_copy(&target, tree, attributes)?;
        self.note(path, mounted)
    }

    fn note(&mut self, path: &Path, mounted: OwnedFd) -> Result<OwnedFd> {
        let failure = |errno| Error::target(path, "fstatfs", path.display().to_string(), errno);
        self.anchors.note(path, &mounted).map_err(failure)?;
        Ok(mounted)
    }

    /// What is at `path`, nothing if it does not exist; below procfs and sysfs not by names that somebody else
    /// may have changed since they were mounted.
    pub(crate) fn find(&self, path: &Path) -> Result<Option<Target>> {
        let (anchor, rest) = self.anchors.anchor(self.fd.as_fd(), path);
        inroot::resolve(anchor, rest)
    }

    /// A copy of what is at `path` inside the root file system, mounts made before included.
    pub fn copy_of(&self, path: &Path, recursive: bool) -> Result<DetachedMount> {
        DetachedMount::copy_of(self.existing(path)?, recursive)
            .map_err(|source| Error::Source { path: path.into(), source })
    }

    /// The same of a symbolic link itself, if `path` is one.
    pub fn copy_of_link(&self, path: &Path, recursive: bool) -> Result<DetachedMount> {
        let source = inroot::resolve_link(&self.fd, path)?.ok_or_else(|| missing(path))?;
        DetachedMount::copy_of(source, recursive)
            .map_err(|source| Error::Source { path: path.into(), source })
    }

    /// The text of the symbolic link at `path`, if there is one.
    pub fn read_link(&self, path: &Path) -> Result<Option<PathBuf>> {
        let Some(found) = inroot::resolve_link(&self.fd, path)? else { return Ok(None) };
        match readlinkat(&found, "", Vec::new()) {
            Ok(text) => Ok(Some(OsString::from_vec(text.into_bytes()).into())),
            // It is no link.
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::target(path, "readlinkat", path.display().to_string(), errno)),
        }
    }

    /// Makes a symbolic link at `path`, unless there is one with the same text already.
    pub fn make_link(&self, path: &Path, text: &Path) -> Result<()> {
        inroot::create_link(&self.fd, path, text)
    }

    /// Makes the directory `path` and those above it, where they are missing.
    pub fn make_directory(&self, path: &Path) -> Result<()> {
        inroot::create(&self.fd, path, Leaf::Directory).map(drop)
    }

    /// Changes the mount at `path`, which somebody mounted there before.
    pub fn change(&self, path: &Path, attributes: &Attributes) -> Result<()> {
        let mounted = self.existing(path)?;
        attributes.apply_flags(&mounted)
    }

    /// Makes the root itself read-only, and nothing below it.
    pub fn make_readonly(&self) -> Result<()> {
        Attributes { set: MountFlags::RDONLY, ..Attributes::default() }.apply_flags(&self.fd)
    }

    fn existing(&self, path: &Path) -> Result<Target> {
        inroot::resolve(&self.fd, path)?.ok_or_else(|| missing(path))
    }

    /// A place for a mount: found or made, and neither the root nor in procfs.
    pub(crate) fn target(&self, path: &Path, leaf: Leaf) -> Result<Target> {
        let target = inroot::create(&self.fd, path, leaf)?;
        self.check_target(path, &target)?;
        Ok(target)
    }

    fn check_target(&self, path: &Path, target: &Target) -> Result<()> {
        let failure = |call, errno| Error::target(path, call, path.display().to_string(), errno);
        let found = identity(target).map_err(|errno| failure("statx", errno))?;
        if found == self.identity {
            let reason = "it is the root file system itself";
            return Err(Error::Forbidden { path: path.into(), reason });
        }
        let fs = fstatfs(target).map_err(|errno| failure("fstatfs", errno))?;
        if fs.f_type == PROC_SUPER_MAGIC && !REPLACEABLE.iter().any(|file| path == Path::new(file))
        {
            let reason = "it is inside /proc";
            return Err(Error::Forbidden { path: path.into(), reason });
        }
        Ok(())
    }

    /// A directory to which no symbolic link leads.
    pub(crate) fn ordinary_directory(&self, path: &Path) -> Result<Target> {
        let reason =
            "it must be mounted on an ordinary directory, not on a symbolic link or a file";
        let forbidden = || Error::Forbidden { path: path.into(), reason };
        match inroot::resolve_without_links(&self.fd, path) {
            Ok(Some(target)) if target.is_directory()? => self.target_at(path, target),
            Ok(Some(_)) => Err(forbidden()),
            Ok(None) => {
                self.target(path, Leaf::Directory)?;
                // Made a moment ago: what is there now must still be no link.
                let made = inroot::resolve_without_links(&self.fd, path)?.ok_or_else(forbidden)?;
                self.target_at(path, made)
            }
            Err(Error::Target { source, .. }) if source.errno() == Errno::LOOP => Err(forbidden()),
            Err(error) => Err(error),
        }
    }

    fn target_at(&self, path: &Path, target: Target) -> Result<Target> {
        let found = identity(&target)
            .map_err(|errno| Error::target(path, "statx", path.display().to_string(), errno))?;
        if found == self.identity {
            let reason = "it is the root file system itself";
            return Err(Error::Forbidden { path: path.into(), reason });
        }
        Ok(target)
    }
}

impl AsFd for Rootfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(crate) fn missing(path: &Path) -> Error {
    Error::target(path, "openat2", path.display().to_string(), Errno::NOENT)
}

fn leaf_for(tree: &DetachedMount) -> Result<Leaf> {
    Ok(if tree.is_directory()? { Leaf::Directory } else { Leaf::File })
}

fn attach_copy(target: &Target, tree: DetachedMount, attributes: &Attributes) -> Result<OwnedFd> {
    let mounted = tree.attach_with(target, attributes)?;
    attributes.apply_propagation(&mounted)?;
    Ok(mounted)
}

/// Puts a new file system on `target`.
fn attach_new(
    target: &Target,
    filesystem: &Filesystem,
    attributes: &Attributes,
) -> Result<OwnedFd> {
    let set = attributes.set | attributes.recursive_set;
    let fill = |made: DetachedMount| match filesystem.copy_up && !target.is_new() {
        true => copy_tree(target, &made)
            .map_err(|source| Error::CopyUp { path: target.path().into(), source })
            .map(|()| made),
        false => Ok(made),
    };
    match DetachedMount::new(filesystem, attributes) {
        // mount(2) knows the flag since Linux 5.10, fsmount(2) since 5.14.
        Err(Error::Filesystem { source, .. })
            if (source.call(), source.errno()) == ("fsmount", Errno::INVAL)
                && set.contains(MountFlags::NOSYMFOLLOW) =>
        {
            let late = Attributes { set: MountFlags::NOSYMFOLLOW, ..Attributes::default() };
            let set = set - late.set;
            let recursive_set = MountFlags::empty();
            let early = Attributes { set, recursive_set, ..attributes.clone() };
            fill(DetachedMount::new(filesystem, &early)?)?.attach_with(target, &late)
        }
        Err(refusal) if classic::may_know(filesystem, &refusal) => {
            let made = match classic::mount_over(target, filesystem, set) {
                // The driver said more the first time.
                Err(Error::Filesystem { source, .. }) if source.errno() == Errno::INVAL => {
                    return Err(refusal);
                }
                made => made?,
            };
            attributes.apply_propagation(&made)?;
            fill(made)?.attach(target)
        }
        made => fill(made?)?.attach(target),
    }
}

/// The mount and the inode of an open file.
pub(crate) fn identity(fd: impl AsFd) -> rustix::io::Result<(u64, u64)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = statx(fd, "", flags, StatxFlags::INO | StatxFlags::MNT_ID)?;
    Ok((stat.stx_mnt_id, stat.stx_ino))
}
