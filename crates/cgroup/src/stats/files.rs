//! Reading the forms that numbers have in the files of cgroups.

use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;
use rustix::io::{Errno, read, retry_on_intr};

use crate::Result;
use crate::dir::Dir;

/// Most files are much shorter; `cpuacct.usage_all` of a host with hundreds of processors is not.
const PIECE: usize = 16 << 10;

/// Every number from here on stands for "unlimited": v1 writes the greatest multiple of the size of its
/// pages below 2^63.
const UNLIMITED: u64 = 1 << 62;

/// The whole of a file; nothing if the cgroup has none or the kernel was told not to account for it.
///
/// Only for files that the kernel writes in one piece, as all with numbers are: there a short read is the
/// end, which saves a system call.
pub(super) fn text(dir: &Dir, file: &str) -> Result<Option<String>> {
    let fd = match dir.open(file, OFlags::RDONLY) {
        Err(error) if error.is_missing() || error.errno() == Some(Errno::OPNOTSUPP) => {
            return Ok(None);
        }
        fd => fd?,
    };
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(PIECE);
        let room = bytes.capacity() - bytes.len();
        match retry_on_intr(|| read(&fd, spare_capacity(&mut bytes))) {
            Ok(length) if length < room => {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
            Ok(_) => {}
            Err(Errno::OPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(dir.read_error(file, errno)),
        }
    }
}

/// A file that holds one number.
pub(super) fn number(dir: &Dir, file: &str) -> Result<Option<u64>> {
    let Some(text) = text(dir, file)? else { return Ok(None) };
    let number = text.trim().parse();
    number.map(Some).map_err(|_| dir.malformed(file, &text, "a number"))
}

/// A file that holds a limit, in the form of either version; the inner `None` is "unlimited".
pub(super) fn limit(dir: &Dir, file: &str) -> Result<Option<Option<u64>>> {
    let Some(text) = text(dir, file)? else { return Ok(None) };
    let limit = parse_limit(text.trim());
    limit.map(Some).ok_or_else(|| dir.malformed(file, &text, "a number or max"))
}

/// A limit; the inner `None` is "unlimited".
pub(super) fn parse_limit(text: &str) -> Option<Option<u64>> {
    if text == "max" {
        return Some(None);
    }
    text.parse().ok().map(|limit| Some(limit).filter(|limit| *limit < UNLIMITED))
}

/// The lines `KEY NUMBER` of a text. What has another form is of a later kernel, and passed over.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

/// The number in the line that begins with `key`.
pub(crate) fn value(text: &str, key: &str) -> Option<u64> {
    lines(text).find_map(|(found, value)| (found == key).then_some(value))
}

/// A cgroup of files that a test writes.
#[cfg(test)]
pub(super) mod test {
    use std::collections::BTreeSet;

    use crate::Cgroup;
    use crate::cgroup::Legacy;
    use crate::dir::Dir;

    /// The files, and the cgroup that they are. A name begins with the controller on v1, as
    /// `memory/memory.stat`, and with nothing on v2.
    pub(in crate::stats) fn cgroup(files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
        let temp = tempfile::tempdir().unwrap();
        let mut controllers = BTreeSet::new();
        for (name, text) in files {
            let (controller, file) = name.split_once('/').unwrap_or(("", name));
            let directory = temp.path().join(controller);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("cgroup.procs"), "").unwrap();
            std::fs::write(directory.join(file), text).unwrap();
            controllers.insert(controller);
        }
        let mut cgroup = Cgroup::default();
        for controller in controllers {
            let dir = Dir::new(temp.path().join(controller));
            if controller.is_empty() {
                cgroup.unified = Some(dir);
            } else {
                cgroup.legacy.push(Legacy { controllers: vec![controller.to_owned()], dir });
            }
        }
        (temp, cgroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_both_versions() {
        assert_eq!(parse_limit("max"), Some(None));
        assert_eq!(parse_limit("9223372036854771712"), Some(None));
        assert_eq!(parse_limit("18446744073709551615"), Some(None));
        assert_eq!(parse_limit("0"), Some(Some(0)));
        assert_eq!(parse_limit("1073741824"), Some(Some(1 << 30)));
        assert_eq!(parse_limit("-1"), None);
        assert_eq!(parse_limit(""), None);
    }

    #[test]
    fn lines_of_another_form_are_passed_over() {
        let text = "a 1\nb\nc x\nd 2 3\n\ne 18446744073709551615\nf -1\ng 4";
        assert_eq!(lines(text).collect::<Vec<_>>(), [("a", 1), ("e", u64::MAX), ("g", 4)]);
        assert_eq!(value("ab 1\na 2\n", "a"), Some(2));
        assert_eq!(value("ab 1\n", "a"), None);
    }

    #[test]
    fn reads_files_of_any_length() {
        let long = "x".repeat(PIECE);
        let longer = "y".repeat(2 * PIECE + 1);
        let (_temp, cgroup) =
            test::cgroup(&[("long", &long), ("longer", &longer), ("n", "7\n"), ("bad", "x\n")]);
        let dir = cgroup.unified.as_ref().unwrap();
        assert_eq!(text(dir, "long").unwrap(), Some(long));
        assert_eq!(text(dir, "longer").unwrap(), Some(longer));
        assert_eq!(text(dir, "none").unwrap(), None);
        assert_eq!(number(dir, "n").unwrap(), Some(7));
        let error = number(dir, "bad").unwrap_err().to_string();
        assert!(error.contains("bad holds \"x\\n\" instead of a number"), "{error}");
        assert!(limit(dir, "bad").is_err());
    }
}
