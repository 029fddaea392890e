//! What a directory has, copied into the file system that is about to cover it.
//!
//! Everything in the directory may have been made to deceive: nothing is looked up by more than one name at
//! a time, no link is followed, and what is neither directory, file, link nor node is left out.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_sys::SyscallError;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags, chmodat, chownat, fchmod,
    fchown, fgetxattr, flistxattr, fsetxattr, fstat, mkdirat, mknodat, openat, readlinkat, statat,
    symlinkat,
};
use rustix::io::Errno;

/// Deeper trees are no image's.
const DEPTH: usize = 256;

const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory and its copy.
struct Pair {
    from: OwnedFd,
    to: OwnedFd,
    depth: usize,
}

/// Copies what is in the directory `from` into the directory `to`, with owners, modes and extended attributes.
pub(crate) fn copy_tree(from: impl AsFd, to: impl AsFd) -> Result<(), SyscallError> {
    let open = |directory: BorrowedFd<'_>| open_directory(directory, c".");
    let mut waiting = vec![Pair { from: open(from.as_fd())?, to: open(to.as_fd())?, depth: 0 }];
    while let Some(pair) = waiting.pop() {
        if pair.depth > DEPTH {
            return Err(failure("mkdirat", c"a directory 256 deep", Errno::NAMETOOLONG));
        }
        for name in names(&pair.from)? {
            waiting.extend(copy(&pair, &name)?);
        }
    }
    Ok(())
}

fn names(directory: &OwnedFd) -> Result<Vec<CString>, SyscallError> {
    let failed = |errno| failure("getdents64", c".", errno);
    let entries = Dir::read_from(directory).map_err(failed)?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Copies one entry; a directory's content is still to be copied then.
fn copy(pair: &Pair, name: &CStr) -> Result<Option<Pair>, SyscallError> {
    let Pair { from, to, depth } = pair;
    let failed = |call| move |errno| failure(call, name, errno);
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("newfstatat"))?;
    let owner = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU).map_err(failed("mkdirat"))?;
            let (from, to) = (open_directory(from, name)?, open_directory(to, name)?);
            finish((&from, &to), &stat, name)?;
            return Ok(Some(Pair { from, to, depth: depth + 1 }));
        }
        FileType::RegularFile => copy_file(pair, name)?,
        FileType::Symlink => {
            let target = readlinkat(from, name, Vec::new()).map_err(failed("readlinkat"))?;
            symlinkat(&target, to, name).map_err(failed("symlinkat"))?;
            chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed("fchownat"))?;
        }
        kind @ (FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice) => {
            match mknodat(to, name, kind, Mode::empty(), stat.st_rdev) {
                // Nobody but root may make devices.
                Err(Errno::PERM) => return Ok(None),
                made => made.map_err(failed("mknodat"))?,
            }
            chownat(to, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed("fchownat"))?;
            // It was made a moment ago, where nobody else is: it is no link.
            chmodat(to, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())
                .map_err(failed("fchmodat"))?;
        }
        _ => {}
    }
    Ok(None)
}

fn copy_file(Pair { from, to, .. }: &Pair, name: &CStr) -> Result<(), SyscallError> {
    let failed = |call| move |errno| failure(call, name, errno);
    let source = openat(from, name, FLAGS | OFlags::NONBLOCK, Mode::empty());
    let source = source.map_err(failed("openat"))?;
    let stat = fstat(&source).map_err(failed("fstat"))?;
    // It may have become something else since it was looked at.
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = openat(to, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed("openat"))?;
    let (mut source, mut copy) = (File::from(source), File::from(copy));
    std::io::copy(&mut source, &mut copy)
        .map_err(|error| SyscallError::from_io("write", name.to_string_lossy(), &error))?;
    finish((&source.into(), &copy.into()), &stat, name)
}

/// Gives a copy what the original has besides its content. The owner comes first: its change clears bits of
/// the mode.
fn finish((from, to): (&OwnedFd, &OwnedFd), stat: &Stat, name: &CStr) -> Result<(), SyscallError> {
    let failed = |call| move |errno| failure(call, name, errno);
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fchown(to, Some(uid), Some(gid)).map_err(failed("fchown"))?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode)).map_err(failed("fchmod"))?;
    let mut list = Vec::with_capacity(64 << 10);
    match flistxattr(from, rustix::buffer::spare_capacity(&mut list)) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        listed => listed.map(drop).map_err(failed("flistxattr"))?,
    }
    for attribute in list.split_inclusive(|byte| *byte == 0) {
        let Ok(attribute) = CStr::from_bytes_with_nul(attribute) else { continue };
        let mut value = Vec::with_capacity(64 << 10);
        fgetxattr(from, attribute, rustix::buffer::spare_capacity(&mut value))
            .map_err(failed("fgetxattr"))?;
        match fsetxattr(to, attribute, &value, XattrFlags::empty()) {
            // tmpfs has not all kinds of attributes, and a user may not set all.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(failure("fsetxattr", name, errno)),
        }
    }
    Ok(())
}

fn open_directory(at: impl AsFd, name: &CStr) -> Result<OwnedFd, SyscallError> {
    openat(at, name, FLAGS | OFlags::DIRECTORY, Mode::empty())
        .map_err(|errno| failure("openat", name, errno))
}

fn failure(call: &'static str, name: &CStr, errno: Errno) -> SyscallError {
    SyscallError::new(call, name.to_string_lossy(), errno)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn trees_are_copied_as_they_are() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("a/b")).unwrap();
        fs::write(from.path().join("a/b/file"), "content").unwrap();
        fs::set_permissions(from.path().join("a/b/file"), fs::Permissions::from_mode(0o4711))
            .unwrap();
        fs::set_permissions(from.path().join("a"), fs::Permissions::from_mode(0o1750)).unwrap();
        symlink("/etc/shadow", from.path().join("link")).unwrap();
        let fifo = Mode::RUSR | Mode::WUSR;
        mknodat(rustix::fs::CWD, from.path().join("fifo"), FileType::Fifo, fifo, 0).unwrap();
        let open = |path: &std::path::Path| fs::File::open(path).unwrap();
        copy_tree(open(from.path()), open(to.path())).unwrap();
        let at = |name: &str| fs::symlink_metadata(to.path().join(name)).unwrap();
        assert_eq!(fs::read(to.path().join("a/b/file")).unwrap(), b"content");
        assert_eq!((at("a/b/file").mode() & 0o7777, at("a").mode() & 0o7777), (0o4711, 0o1750));
        assert_eq!(fs::read_link(to.path().join("link")).unwrap().to_str(), Some("/etc/shadow"));
        assert!(FileType::from_raw_mode(at("fifo").mode()) == FileType::Fifo);
    }

    #[test]
    fn what_is_there_already_is_not_written_through() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let outside = to.path().with_extension("outside");
        fs::write(from.path().join("file"), "content").unwrap();
        symlink(&outside, to.path().join("file")).unwrap();
        let open = |path: &std::path::Path| fs::File::open(path).unwrap();
        let error = copy_tree(open(from.path()), open(to.path())).unwrap_err();
        assert_eq!(error.errno(), Errno::EXIST);
        assert!(!outside.exists());
    }
}
