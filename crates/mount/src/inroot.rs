//! Finding and making places inside a root that somebody else controls.
//!
//! A path is resolved as a process would see it whose root the directory is: `..` stops there and absolute
//! symbolic links start there. openat2(2) does this for what exists. What is missing is made on the way,
//! one component at a time, from descriptors that do not follow links, so that a concurrent exchange of a
//! directory for a link leads to an error, never outside.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, mknodat, openat, openat2, readlinkat,
    symlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How many symbolic links one path may lead through, as in path_resolution(7).
const MAX_LINKS: usize = 40;

/// How often a look-up is tried again that collided with concurrent renames.
const ATTEMPTS: usize = 64;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// What a missing place becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leaf {
    /// A directory with mode 0755.
    Directory,
    /// An empty regular file with mode 0644.
    File,
}

/// A place inside a root, found once and held by a descriptor.
#[derive(Debug)]
pub struct Target {
    fd: OwnedFd,
    path: PathBuf,
    new: bool,
}

impl Target {
    /// The path that was asked for, as the container sees it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Was it made for this?
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// The type and mode bits.
    pub fn mode(&self) -> Result<u32> {
        fstat(&self.fd)
            .map(|stat| stat.st_mode)
            .map_err(|errno| failure(&self.path, "fstat", errno))
    }

    /// Is it a directory?
    pub fn is_directory(&self) -> Result<bool> {
        Ok(FileType::from_raw_mode(self.mode()?).is_dir())
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Target> for OwnedFd {
    fn from(target: Target) -> Self {
        target.fd
    }
}

/// Opens `path` in `root`, following symbolic links inside it; nothing if it does not exist.
pub(crate) fn resolve(root: impl AsFd, path: &Path) -> Result<Option<Target>> {
    open_with(root, path, ResolveFlags::empty())
}

/// Opens `path` in `root` and refuses any symbolic link on the way; nothing if it does not exist.
pub(crate) fn resolve_without_links(root: impl AsFd, path: &Path) -> Result<Option<Target>> {
    open_with(root, path, ResolveFlags::NO_SYMLINKS)
}

/// Opens `path` in `root`, the last component as it is if that is a symbolic link; nothing if it does not exist.
pub(crate) fn resolve_link(root: impl AsFd, path: &Path) -> Result<Option<Target>> {
    open_as(root, path, HANDLE | OFlags::NOFOLLOW, ResolveFlags::empty())
}

fn open_with(root: impl AsFd, path: &Path, more: ResolveFlags) -> Result<Option<Target>> {
    open_as(root, path, HANDLE, more)
}

fn open_as(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    more: ResolveFlags,
) -> Result<Option<Target>> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
    for _ in 0..ATTEMPTS {
        match openat2(&root, inside(path), flags, Mode::empty(), resolve) {
            Ok(fd) => return Ok(Some(Target { fd, path: path.into(), new: false })),
            Err(Errno::NOENT) => return Ok(None),
            // The kernel cannot tell whether a concurrent rename led it astray.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(failure(path, "openat2", errno)),
        }
    }
    Err(failure(path, "openat2", Errno::AGAIN))
}

/// Opens `path` in `root` and makes what is missing: directories, and at the end a `leaf`.
///
/// Unlike mkdir -p this goes through dangling symbolic links to where they point, inside the root.
pub(crate) fn create(root: impl AsFd, path: &Path, leaf: Leaf) -> Result<Target> {
    match resolve(&root, path)? {
        Some(target) => Ok(target),
        None => Walk::new(root.as_fd(), path)?.run(leaf),
    }
}

/// The same, but a symbolic link at the end is the place itself.
pub(crate) fn create_over_link(root: impl AsFd, path: &Path, leaf: Leaf) -> Result<Target> {
    match resolve_link(&root, path)? {
        Some(target) => Ok(target),
        None => create(root, path, leaf),
    }
}

/// Makes a symbolic link at `path` in `root`, and the directories above it where they are missing. One with the
/// same text may be there already.
pub(crate) fn create_link(root: impl AsFd, path: &Path, text: &Path) -> Result<()> {
    let name = path.file_name().ok_or_else(|| failure(path, "symlinkat", Errno::EXIST))?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let parent = create(&root, parent, Leaf::Directory)?;
    match symlinkat(text, &parent, name) {
        Err(Errno::EXIST) => match readlinkat(&parent, name, Vec::new()) {
            Ok(found) if found.as_bytes() == text.as_os_str().as_bytes() => Ok(()),
            _ => Err(failure(path, "symlinkat", Errno::EXIST)),
        },
        made => made.map_err(|errno| failure(path, "symlinkat", errno)),
    }
}

/// A walk from the root, on descriptors.
struct Walk<'path> {
    path: &'path Path,
    /// The directories from the root to here; going up is taking the last one away.
    trail: Vec<OwnedFd>,
    /// The components still to walk, the next one last.
    ahead: Vec<OsString>,
    links: usize,
    /// The last component was missing.
    made_last: bool,
}

impl<'path> Walk<'path> {
    fn new(root: BorrowedFd<'_>, path: &'path Path) -> Result<Self> {
        let root = openat(root, ".", HANDLE | OFlags::DIRECTORY, Mode::empty())
            .map_err(|errno| failure(path, "open root", errno))?;
        let mut walk =
            Self { path, trail: vec![root], ahead: Vec::new(), links: 0, made_last: false };
        walk.prepend(path);
        Ok(walk)
    }

    fn prepend(&mut self, path: &Path) {
        let steps = path.components().rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        });
        self.ahead.extend(steps);
    }

    fn run(mut self, leaf: Leaf) -> Result<Target> {
        let mut collisions = 0;
        while let Some(name) = self.ahead.pop() {
            if name == OsStr::new("..") {
                if self.trail.len() > 1 {
                    self.trail.pop();
                }
                continue;
            }
            let here = self.here()?;
            match openat(here, &name, HANDLE | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) => {
                    if let Some(target) = self.step(fd)? {
                        return Ok(target);
                    }
                }
                Err(Errno::NOENT) if collisions < ATTEMPTS => {
                    let kind = if self.ahead.is_empty() { leaf } else { Leaf::Directory };
                    self.make(&name, kind)?;
                    self.made_last = self.ahead.is_empty();
                    self.ahead.push(name);
                    collisions += 1;
                }
                Err(errno) => return Err(failure(self.path, "openat", errno)),
            }
        }
        let fd = self.trail.pop().ok_or_else(|| failure(self.path, "walk", Errno::NOENT))?;
        Ok(Target { fd, path: self.path.into(), new: self.made_last })
    }

    fn here(&self) -> Result<&OwnedFd> {
        self.trail.last().ok_or_else(|| failure(self.path, "walk", Errno::NOENT))
    }

    /// Enters what was found; the end of the walk if it is the last component and no directory.
    fn step(&mut self, fd: OwnedFd) -> Result<Option<Target>> {
        let stat = fstat(&fd).map_err(|errno| failure(self.path, "fstat", errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.trail.push(fd),
            FileType::Symlink => self.follow(&fd)?,
            _ if self.ahead.is_empty() => {
                let (path, new) = (self.path.into(), self.made_last);
                return Ok(Some(Target { fd, path, new }));
            }
            _ => return Err(failure(self.path, "openat", Errno::NOTDIR)),
        }
        Ok(None)
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(failure(self.path, "readlinkat", Errno::LOOP));
        }
        let text = readlinkat(link, "", Vec::new())
            .map_err(|errno| failure(self.path, "readlinkat", errno))?;
        let text = PathBuf::from(OsString::from_vec(text.into_bytes()));
        if text.is_absolute() {
            self.trail.truncate(1);
        }
        self.prepend(&text);
        Ok(())
    }

    fn make(&self, name: &OsStr, kind: Leaf) -> Result<()> {
        let here = self.here()?;
        let made = match kind {
            Leaf::Directory => mkdirat(here, name, Mode::from_bits_truncate(0o755)),
            // mknodat opens nothing, so that a FIFO or a device put there meanwhile does no harm.
            Leaf::File => {
                mknodat(here, name, FileType::RegularFile, Mode::from_bits_truncate(0o644), 0)
            }
        };
        match made {
            // Somebody was faster; the walk looks at what they made.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(failure(self.path, "create", errno)),
        }
    }
}

/// The path relative to the root; the root itself is `.`.
pub(crate) fn inside(path: &Path) -> &Path {
    let relative = path.strip_prefix("/").unwrap_or(path);
    if relative.as_os_str().as_bytes().is_empty() { Path::new(".") } else { relative }
}

fn failure(path: &Path, call: &'static str, errno: Errno) -> Error {
    Error::target(path, call, path.display().to_string(), errno)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, OwnedFd) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("root/a/b")).unwrap();
        let fd = openat(
            rustix::fs::CWD,
            directory.path().join("root"),
            HANDLE | OFlags::DIRECTORY,
            Mode::empty(),
        );
        (directory, fd.unwrap())
    }

    #[test]
    fn makes_what_is_missing() {
        let (directory, root) = root();
        create(&root, Path::new("/a/x/y"), Leaf::Directory).unwrap();
        create(&root, Path::new("/a/x/file"), Leaf::File).unwrap();
        assert!(directory.path().join("root/a/x/y").is_dir());
        assert!(directory.path().join("root/a/x/file").is_file());
        assert!(create(&root, Path::new("/a/x/file/z"), Leaf::File).is_err());
    }

    #[test]
    fn nothing_leads_outside() {
        let (directory, root) = root();
        let top = directory.path().join("root");
        symlink("/nowhere/deep", top.join("absolute")).unwrap();
        symlink("../../../../out", top.join("a/up")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        create(&root, Path::new("/absolute/d"), Leaf::Directory).unwrap();
        create(&root, Path::new("/a/up"), Leaf::File).unwrap();
        create(&root, Path::new("/../../../z/../q"), Leaf::Directory).unwrap();
        assert!(create(&root, Path::new("/loop/x"), Leaf::Directory).is_err());
        assert!(top.join("nowhere/deep/d").is_dir());
        assert!(top.join("out").is_file());
        assert!(top.join("q").is_dir());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_can_be_refused() {
        let (directory, root) = root();
        symlink("a", directory.path().join("root/link")).unwrap();
        assert!(resolve_without_links(&root, Path::new("/link/b")).is_err());
        assert!(resolve(&root, Path::new("/link/b")).unwrap().is_some());
        assert!(resolve(&root, Path::new("/missing")).unwrap().is_none());
    }
}
