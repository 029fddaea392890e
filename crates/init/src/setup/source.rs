//! What is mounted from the host.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use coracle_mount::{DetachedMount, Error, MountFlags, Result, SourceLink};
use coracle_sys::{Errno, SyscallError};
use rustix::fs::readlink;

/// Something of the host to be mounted in the container.
///
/// It is copied in the container's mount namespace: if that belongs to another user namespace, the kernel
/// keeps the restrictions of its mounts there. Only what that user may not reach, or may not map the owners
/// of, is taken from the launcher, to whose copy these locks do not apply.
pub(crate) struct Source {
    path: PathBuf,
    kind: Kind,
    lent: Option<Found>,
    /// The launcher's copy is not like any other.
    mapped: bool,
    /// The container is in another user namespace.
    foreign: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    /// The root file system.
    Root,
    Bind {
        recursive: bool,
        link: SourceLink,
    },
}

/// What is at the path of a source.
pub(crate) enum Found {
    /// A mount, to be mounted.
    Tree(DetachedMount),
    /// The text of a symbolic link, to be made again.
    Link(PathBuf),
}

impl Source {
    /// What is at `path`; lent by the launcher if `lend`.
    pub(crate) fn new(path: &Path, recursive: bool, link: SourceLink, lend: bool) -> Self {
        Self::of_kind(path, Kind::Bind { recursive, link }, lend)
    }

    /// The root file system.
    pub(crate) fn root(path: &Path, lend: bool) -> Self {
        Self::of_kind(path, Kind::Root, lend)
    }

    /// Something of the launcher's whose owners are mapped, for a container in a `foreign` user namespace or not.
    pub(crate) fn mapped(path: &Path, found: Found, foreign: bool) -> Self {
        let kind = Kind::Bind { recursive: false, link: SourceLink::Follow };
        Self { path: path.into(), kind, lent: Some(found), mapped: true, foreign }
    }

    fn of_kind(path: &Path, kind: Kind, lend: bool) -> Self {
        // Where the launcher fails, so will the child, and say why.
        let lent = lend.then(|| copy(path, kind).ok()).flatten();
        Self { path: path.into(), kind, lent, mapped: false, foreign: lend }
    }

    /// What is to be mounted; flags in `clear` are to be lowered on it.
    pub(crate) fn found(self, clear: MountFlags) -> Result<Found> {
        if let (true, Some(_)) = (self.mapped, &self.lent) {
            return self.lent(clear);
        }
        match (copy(&self.path, self.kind), &self.lent) {
            (Err(Error::Source { source, .. }), Some(_)) if source.errno() == Errno::ACCESS => {
                self.lent(clear)
            }
            (copy, _) => copy,
        }
    }

    /// The same where no link is asked for.
    pub(crate) fn tree(self, clear: MountFlags) -> Result<DetachedMount> {
        let path = self.path.clone();
        match self.found(clear)? {
            Found::Tree(tree) => Ok(tree),
            Found::Link(_) => Err(failure(&path, "readlink", Errno::LOOP)),
        }
    }

    fn lent(self, clear: MountFlags) -> Result<Found> {
        let gone = || failure(&self.path, "open_tree", Errno::NOENT);
        let found = self.lent.ok_or_else(gone)?;
        if let (true, Found::Tree(tree)) = (self.foreign, &found)
            && tree.flags()?.intersects(clear)
        {
            let reason = "the host's mount has a flag that the options would lower";
            return Err(Error::Forbidden { path: self.path, reason });
        }
        Ok(found)
    }
}

/// What is at `path`, as the caller sees it.
pub(crate) fn find(path: &Path, recursive: bool, link: SourceLink) -> Result<Found> {
    copy(path, Kind::Bind { recursive, link })
}

fn copy(path: &Path, kind: Kind) -> Result<Found> {
    let tree = match kind {
        Kind::Root => DetachedMount::copy_of_root(path),
        Kind::Bind { recursive, link: SourceLink::Follow } => {
            DetachedMount::copy_of_path(path, recursive)
        }
        Kind::Bind { recursive, link: SourceLink::Itself } => {
            DetachedMount::copy_of_link(path, recursive)
        }
        Kind::Bind { recursive, link: SourceLink::Copy } => match readlink(path, Vec::new()) {
            Ok(text) => return Ok(Found::Link(OsString::from_vec(text.into_bytes()).into())),
            // It is no link.
            Err(Errno::INVAL) => DetachedMount::copy_of_path(path, recursive),
            Err(errno) => Err(failure(path, "readlink", errno)),
        },
    };
    tree.map(Found::Tree)
}

fn failure(path: &Path, call: &'static str, errno: Errno) -> Error {
    let source = SyscallError::new(call, path.display().to_string(), errno);
    Error::Source { path: path.into(), source }
}
