//! Lines of `/proc/PID/mountinfo`: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A mount, as far as anybody asks. What is text is as the kernel wrote it: see [`unescape`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountLine<'a> {
    /// Its number.
    pub id: u64,
    /// The number of the mount that it is mounted on.
    pub parent: u64,
    /// The major and the minor number of its file system's device.
    pub device: (u32, u32),
    /// What of the file system is mounted, as a path inside it.
    pub root: &'a [u8],
    /// Where, from the root of the process.
    pub path: &'a [u8],
    /// The type of its file system, as `ext4`.
    pub fstype: &'a [u8],
    /// The options of its file system, with commas between them.
    pub options: &'a [u8],
}

impl<'a> MountLine<'a> {
    /// Takes a line apart; nothing if it is none of mountinfo.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut next = || fields.next();
        let (id, parent, device) = (number(next()?)?, number(next()?)?, device(next()?)?);
        let (root, path) = (next()?, next()?);
        // Options of the mount and optional fields end with a hyphen.
        let mut filesystem = fields.skip_while(|field| *field != b"-").skip(1);
        let (fstype, _source) = (filesystem.next()?, filesystem.next()?);
        let options = filesystem.next()?;
        Some(Self { id, parent, device, root, path, fstype, options })
    }
}

fn device(text: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(text).ok()?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The path in a field: white space and backslashes are written as a backslash and three octal digits.
pub fn unescape(field: &[u8]) -> PathBuf {
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
    use super::*;

    #[test]
    fn takes_a_line_apart() {
        let line =
            br"36 35 98:0 /mnt1 /mnt\0402\134 rw,noatime master:1 shared:7 - ext3 /dev/root rw,a";
        let mount = MountLine::parse(line).unwrap();
        assert_eq!((mount.id, mount.parent, mount.device), (36, 35, (98, 0)));
        assert_eq!(unescape(mount.root), PathBuf::from("/mnt1"));
        assert_eq!(unescape(mount.path), PathBuf::from(r"/mnt 2\"));
        assert_eq!((mount.fstype, mount.options), (&b"ext3"[..], &b"rw,a"[..]));
    }

    #[test]
    fn takes_a_source_that_is_nothing() {
        let mount = MountLine::parse(b"1 2 0:3 / /a rw - tmpfs  rw").unwrap();
        assert_eq!((mount.fstype, mount.options), (&b"tmpfs"[..], &b"rw"[..]));
    }

    #[test]
    fn takes_nothing_else() {
        for line in
            ["", "36 35 98:0 / / rw", "36 35 98 / / rw - a b c", "x - cgroup", "1 2 0:3 / / - a"]
        {
            assert_eq!(MountLine::parse(line.as_bytes()), None, "{line}");
        }
    }
}
