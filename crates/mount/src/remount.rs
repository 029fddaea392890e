//! Changing what is mounted.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use coracle_sys::SyscallError;
use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{FsPickFlags, fsconfig_reconfigure, fspick};

use crate::fscontext::{configure, log_of};
use crate::rootfs::missing;
use crate::{Attributes, Error, MountFlags, Parameter, Result, Rootfs, Target};

impl Rootfs {
    /// Changes the mount at `path`: what `attributes` name, and nothing else. Flags that the kernel has locked,
    /// as of mounts from a more privileged namespace, stay unless they are named.
    pub fn remount(&self, path: &Path, attributes: &Attributes) -> Result<()> {
        let mounted = self.mount_at(path)?;
        attributes.apply_flags(&mounted)?;
        attributes.apply_propagation(&mounted)
    }

    /// The same with the file system behind the mount, which other mounts may show, too: its driver gets the
    /// `parameters`, and is told whether it is read-only.
    ///
    /// `CAP_SYS_ADMIN` in the user namespace that the file system was mounted in.
    pub fn reconfigure(
        &self,
        path: &Path,
        parameters: &[Parameter],
        attributes: &Attributes,
    ) -> Result<()> {
        let mut parameters = parameters.to_vec();
        for (flags, word) in [(attributes.set, "ro"), (attributes.clear, "rw")] {
            if flags.contains(MountFlags::RDONLY) {
                parameters.push(Parameter::parse(word));
            }
        }
        if !parameters.is_empty() {
            reconfigure(&self.mount_at(path)?, &parameters)?;
        }
        self.remount(path, attributes)
    }

    /// What is mounted at `path`.
    fn mount_at(&self, path: &Path) -> Result<Target> {
        let found = self.find(path)?.ok_or_else(|| missing(path))?;
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let stat = statx(&found, "", flags, StatxFlags::empty())
            .map_err(|errno| failure(path, "", "statx", errno))?;
        if stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            Ok(found)
        } else {
            let hint = ": nothing is mounted there, leave out remount or mount it before";
            Err(failure(path, hint, "statx", Errno::INVAL))
        }
    }
}

fn reconfigure(mounted: &Target, parameters: &[Parameter]) -> Result<()> {
    let path = mounted.path();
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context: OwnedFd = fspick(mounted, "", flags)
        .map_err(|errno| failure(path, remedy(errno), "fspick", errno))?;
    configure(&context, parameters)
        .and_then(|()| {
            fsconfig_reconfigure(context.as_fd())
                .map_err(|errno| SyscallError::new("fsconfig", "CMD_RECONFIGURE", errno))
        })
        .map_err(|source| {
            let messages = log_of(&context).join("; ");
            let hint = match messages.as_str() {
                "" => remedy(source.errno()).to_owned(),
                messages => format!(" ({messages})"),
            };
            Error::Remount { path: path.into(), hint, source }
        })
}

fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM => ": its file system is not the container's, with bind only the mount changes",
        _ => "",
    }
}

fn failure(path: &Path, hint: &str, call: &'static str, errno: Errno) -> Error {
    let source = SyscallError::new(call, path.display().to_string(), errno);
    Error::Remount { path: path.into(), hint: hint.into(), source }
}
