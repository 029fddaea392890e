//! The mounts of the caller's namespace, from /proc/self/mountinfo; see proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

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
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = || fields.next();
    let (id, parent, device) = (number(next()?)?, number(next()?)?, device(next()?)?);
    let (root, path) = (unescape(next()?), unescape(next()?));
    // Optional fields end with a hyphen.
    let fstype = fields.skip_while(|field| *field != b"-").nth(1)?;
    let fstype = String::from_utf8_lossy(fstype).into_owned();
    Some(MountInfo { id, parent, device, root, path, fstype })
}

fn device(text: &[u8]) -> Option<u64> {
    let (major, minor) = std::str::from_utf8(text).ok()?.split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// White space and backslashes are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn reads_a_line() {
        let line =
            br"36 35 98:0 /mnt1 /mnt\0402\134 rw,noatime master:1 shared:7 - ext3 /dev/root rw";
        let (root, path) = (PathBuf::from("/mnt1"), PathBuf::from(r"/mnt 2\"));
        let device = makedev(98, 0);
        let expected = MountInfo { id: 36, parent: 35, device, root, path, fstype: "ext3".into() };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"36 35 98:0 / / rw"), None);
    }

    #[test]
    fn sees_the_root() {
        assert!(read().unwrap().iter().any(|mount| mount.path == Path::new("/")));
    }
}
