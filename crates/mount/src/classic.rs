//! New file systems by mount(2), for what fsconfig(2) cannot say: values of more than 255 bytes, as lists of
//! layers of overlayfs, words that only mount(2) knows, and, to drivers that still take their options as one
//! string, values with commas.
//!
//! mount(2) wants a place that is attached. It gets one in a tmpfs over the target, and what is mounted there
//! is copied, detached, before the tmpfs goes again: so here, too, nothing is attached that is not finished.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use coracle_sys::{Errno, SyscallError};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::mount::{MountFlags as ClassicFlags, UnmountFlags, mount, unmount};

use crate::fscontext::LABELS;
use crate::{
    Attributes, DetachedMount, Error, Filesystem, MountFlags, Parameter, Result, Target, legacy,
};

/// The longest value that fsconfig(2) takes.
const LONGEST_VALUE: usize = 255;

/// What mount(2) takes of options, with the terminator.
const LONGEST_DATA: usize = 4096;

const PLACE: &str = "place";

/// Words that are flags of mount(2).
const FLAGS: [(&str, ClassicFlags); 7] = [
    ("ro", ClassicFlags::RDONLY),
    ("sync", ClassicFlags::SYNCHRONOUS),
    ("dirsync", ClassicFlags::DIRSYNC),
    ("lazytime", ClassicFlags::LAZYTIME),
    ("mand", ClassicFlags::PERMIT_MANDATORY_FILE_LOCKING),
    ("iversion", ClassicFlags::from_bits_retain(1 << 23)),
    ("acl", ClassicFlags::from_bits_retain(1 << 16)),
];

/// Can mount(2) do what fsconfig(2) has just refused?
pub(crate) fn may_know(filesystem: &Filesystem, error: &Error) -> bool {
    let Error::Filesystem { source, .. } = error else { return false };
    let beyond = |Parameter { key, value }: &Parameter| match value {
        Some(value) => value.len() > LONGEST_VALUE || value.contains(','),
        None => matches!(key.as_str(), "acl" | "iversion"),
    };
    (source.call(), source.errno()) == ("fsconfig", Errno::INVAL)
        && filesystem.parameters.iter().any(beyond)
}

/// Makes the file system; `target` is covered meanwhile.
pub(crate) fn mount_over(
    target: &Target,
    filesystem: &Filesystem,
    flags: MountFlags,
) -> Result<DetachedMount> {
    let failure = |source| {
        let fstype = filesystem.fstype.clone();
        Error::Filesystem { fstype, messages: Vec::new(), source }
    };
    let mut tmpfs = Filesystem::new("tmpfs");
    tmpfs.parameters = vec![Parameter::new("mode", "700"), Parameter::new("size", "4k")];
    let scratch = DetachedMount::new(&tmpfs, &Attributes::default())?;
    mkdirat(&scratch, PLACE, Mode::RWXU)
        .map_err(|errno| failure(SyscallError::new("mkdirat", PLACE, errno)))?;
    let scratch = scratch.attach(target)?;
    let made = mount_in(&scratch, filesystem, flags);
    let gone = legacy::path_of(scratch.as_fd()).and_then(|path| {
        unmount(&path, UnmountFlags::DETACH)
            .map_err(|errno| SyscallError::new("umount", path, errno))
    });
    made.and_then(|made| gone.map(|()| made)).map_err(failure)
}

fn mount_in(
    scratch: &OwnedFd,
    filesystem: &Filesystem,
    flags: MountFlags,
) -> Result<DetachedMount, SyscallError> {
    let open = || {
        openat(scratch, PLACE, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| SyscallError::new("openat", PLACE, errno))
    };
    let place = open()?;
    let (more, data) = data(&filesystem.parameters)?;
    let source = filesystem.source.as_deref().unwrap_or("none");
    mount(
        source,
        legacy::path_of(place.as_fd())?,
        filesystem.fstype.as_str(),
        legacy::classic(flags) | more,
        Some(data.as_c_str()),
    )
    .map_err(|errno| {
        let args = format!("{source}, {}, {}", filesystem.fstype, data.to_string_lossy());
        SyscallError::new("mount", args, errno)
    })?;
    DetachedMount::copy_of(open()?, false)
}

/// The parameters as mount(2) takes them: flags, and one string.
fn data(parameters: &[Parameter]) -> Result<(ClassicFlags, CString), SyscallError> {
    let mut flags = ClassicFlags::empty();
    let mut words = Vec::new();
    for parameter in parameters {
        match (FLAGS.iter().find(|(word, _)| *word == parameter.key), &parameter.value) {
            (Some((_, flag)), None) => flags |= *flag,
            (_, Some(value)) if LABELS.contains(&parameter.key.as_str()) => {
                words.push(format!("{}=\"{value}\"", parameter.key));
            }
            _ => words.push(parameter.to_string()),
        }
    }
    let data = words.join(",");
    let failure = |errno| SyscallError::new("mount", data.as_str(), errno);
    if data.len() >= LONGEST_DATA {
        return Err(failure(Errno::TOOBIG));
    }
    Ok((flags, CString::new(data.as_str()).map_err(|_| failure(Errno::INVAL))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_flags_or_a_string() {
        let words = ["sync", "iversion", "size=1m", "context=a:b:c1,c2", r"lowerdir=/a\,b", "x"];
        let (flags, data) = data(&words.map(Parameter::parse)).unwrap();
        assert_eq!(flags.bits(), ClassicFlags::SYNCHRONOUS.bits() | 1 << 23);
        assert_eq!(data.to_str().unwrap(), r#"size=1m,context="a:b:c1,c2",lowerdir=/a\,b,x"#);
        let long = Parameter::new("x", "y".repeat(LONGEST_DATA));
        assert_eq!(super::data(&[long]).unwrap_err().errno(), Errno::TOOBIG);
    }
}
