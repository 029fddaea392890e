//! A mount that is nowhere yet.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use coracle_sys::SyscallError;
use coracle_sys::mount_attr::{MountAttr, mount_setattr};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use crate::{Attributes, Error, Filesystem, MountFlags, Result, Target, mountinfo};

/// A mount, or a tree of mounts, that is attached nowhere: a descriptor that keeps it alive.
#[derive(Debug)]
pub struct DetachedMount(OwnedFd);

impl DetachedMount {
    /// A copy of what is mounted at `path` of the caller, with all that is mounted below if `recursive`.
    pub fn copy_of_path(path: impl AsRef<Path>, recursive: bool) -> Result<Self> {
        Self::copy(path.as_ref(), flags(recursive))
    }

    /// The same of a symbolic link itself, if `path` is one.
    pub fn copy_of_link(path: impl AsRef<Path>, recursive: bool) -> Result<Self> {
        Self::copy(path.as_ref(), flags(recursive) | OpenTreeFlags::AT_SYMLINK_NOFOLLOW)
    }

    fn copy(path: &Path, flags: OpenTreeFlags) -> Result<Self> {
        let failure = |errno| {
            let args = format!("{}, {flags:?}", path.display());
            Error::Source { path: path.into(), source: SyscallError::new("open_tree", args, errno) }
        };
        open_tree(CWD, path, flags).map(Self).map_err(failure)
    }

    /// A copy of the tree of mounts at the directory `path`, to which no symbolic link may lead: whoever can
    /// write beside a bundle's root file system could name any other with one.
    pub fn copy_of_root(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failure = |source| Error::Source { path: path.into(), source };
        let root = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map_err(
            |errno| {
                failure(SyscallError::new(
                    "openat2",
                    format!("{}, NO_SYMLINKS", path.display()),
                    errno,
                ))
            },
        )?;
        Self::copy_of(root, true).map_err(failure)
    }

    /// A copy of the mount at `fd`, from there on.
    pub fn copy_of(fd: impl AsFd, recursive: bool) -> Result<Self, SyscallError> {
        let flags = flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH;
        open_tree(fd, "", flags)
            .map(Self)
            .map_err(|errno| SyscallError::new("open_tree", "descriptor, clone", errno))
    }

    /// A new file system with these attributes.
    pub fn new(filesystem: &Filesystem, attributes: &Attributes) -> Result<Self> {
        let flags = attributes.set | attributes.recursive_set;
        let mount = Self(filesystem.mount(flags)?);
        attributes.apply_propagation(&mount)?;
        Ok(mount)
    }

    /// Shows the owners of the files through the maps of a user namespace: the inside of the maps is what the
    /// file system has, the outside what is seen. With `recursive` on all mounts of the tree.
    ///
    /// Linux 5.12, later for most file systems, and `CAP_SYS_ADMIN` in the user namespace that the file system
    /// was mounted in. The mount must never have been attached, nor have its ids mapped already.
    pub fn map_ids(&self, users: impl AsFd, recursive: bool) -> Result<()> {
        let attr = MountAttr { userns: Some(users.as_fd()), ..MountAttr::default() };
        mount_setattr(&self.0, recursive, &attr).map_err(|source| {
            let hint = match source.errno() {
                Errno::NOSYS => "it needs Linux 5.12",
                Errno::INVAL => "this kernel does not do it for a file system of this type",
                Errno::PERM => {
                    "it needs CAP_SYS_ADMIN in the user namespace of the file system, most often that \
                     of root, and a source whose ids are not mapped yet"
                }
                _ => "the kernel refuses",
            };
            Error::IdMap { fstype: self.fstype(), hint, source }
        })
    }

    /// The type of the file system, found by another mount of it that the caller can see.
    fn fstype(&self) -> String {
        let device = fstat(&self.0).map(|stat| stat.st_dev);
        let mounts = mountinfo::read().unwrap_or_default();
        let found = mounts.into_iter().find(|mount| Ok(mount.device) == device);
        found.map_or_else(|| "an unknown file system".to_owned(), |mount| mount.fstype)
    }

    /// Is its root a directory?
    pub fn is_directory(&self) -> Result<bool> {
        fstat(&self.0)
            .map(|stat| FileType::from_raw_mode(stat.st_mode).is_dir())
            .map_err(|errno| Error::Attributes(SyscallError::new("fstat", "mount", errno)))
    }

    /// Those of the mount's flags that take rights away.
    pub fn flags(&self) -> Result<MountFlags> {
        let known =
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        MountFlags::of(&self.0).map(|flags| flags & known).map_err(Error::Attributes)
    }

    /// Puts the mount on `target`, on top of what is mounted there, and returns its root.
    pub fn attach(self, target: &Target) -> Result<OwnedFd> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        self.move_to(target.as_fd(), "", flags).map_err(|errno| Error::Attach {
            path: target.path().into(),
            source: SyscallError::new("move_mount", target.path().display().to_string(), errno),
        })?;
        Ok(self.0)
    }

    /// The same with the mount's flags changed, which is not yet the case for a moment before Linux 5.12.
    pub(crate) fn attach_with(self, target: &Target, attributes: &Attributes) -> Result<OwnedFd> {
        match attributes.set_flags(&self) {
            Ok(()) => self.attach(target),
            Err(error) if attributes.are_new_to(&error) => {
                let mounted = self.attach(target)?;
                attributes.apply_flags(&mounted)?;
                Ok(mounted)
            }
            Err(error) => Err(Error::Attributes(error)),
        }
    }

    /// Puts the mount on the directory `place`.
    pub(crate) fn attach_at(self, place: OwnedFd) -> Result<OwnedFd, SyscallError> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        self.move_to(place.as_fd(), "", flags)
            .map_err(|errno| SyscallError::new("move_mount", "root file system", errno))?;
        Ok(self.0)
    }

    /// Puts the mount over the caller's root. Who has the old root as its root goes on seeing that.
    pub(crate) fn attach_over_root(self) -> Result<OwnedFd, SyscallError> {
        self.move_to(CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(|errno| SyscallError::new("move_mount", "root file system, /", errno))?;
        Ok(self.0)
    }

    fn move_to(&self, fd: BorrowedFd<'_>, path: &str, flags: MoveMountFlags) -> Result<(), Errno> {
        move_mount(&self.0, "", fd, path, flags)
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for DetachedMount {
    /// Wraps a descriptor that another process made with open_tree(2) or fsmount(2).
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<DetachedMount> for OwnedFd {
    fn from(mount: DetachedMount) -> Self {
        mount.0
    }
}

fn flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}
