//! Entering namespaces.

use std::os::fd::{AsFd, BorrowedFd};

use coracle_sys::{SyscallError, nsfs};
use rustix::io::Errno;
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
};

use crate::{Error, KindSet, NamespaceKind, Result};

/// Moves the calling process into `namespaces` with setns(2). The process must have one thread.
///
/// Which must come first depends on who owns them: a user namespace grants the capabilities needed for
/// those it owns and takes away those needed for the rest. So the user namespace is tried first, whatever
/// is refused is tried again after the others, until nothing moves any more. The mount namespace comes
/// after all others that need no new look-up of paths: joining it replaces root and working directory.
pub fn join_all(namespaces: &[(NamespaceKind, BorrowedFd<'_>)]) -> Result<()> {
    let mut waiting: Vec<_> = namespaces.to_vec();
    waiting.sort_by_key(|(kind, _)| *kind);
    while !waiting.is_empty() {
        let mut refused = Vec::new();
        let mut last_error = None;
        for (kind, fd) in &waiting {
            match join(*kind, *fd) {
                Ok(()) => {}
                Err(errno @ (Errno::PERM | Errno::ACCESS)) => {
                    refused.push((*kind, *fd));
                    last_error.get_or_insert((*kind, errno));
                }
                Err(errno) => return Err(failure(*kind, errno)),
            }
        }
        if let Some((kind, errno)) = last_error
            && refused.len() == waiting.len()
        {
            return Err(failure(kind, errno));
        }
        waiting = refused;
    }
    Ok(())
}

/// Moves the calling process into namespaces of the process behind `pidfd`, all or none, with one setns(2).
///
/// The process must have one thread. Needs the right to trace the other one (ptrace(2)), `CAP_SYS_ADMIN` in
/// the user namespaces that own what is entered, and, unless the caller enters a user namespace with it,
/// `CAP_SYS_CHROOT` for a mount namespace. Linux 5.8.
pub fn join_process(pidfd: impl AsFd, kinds: KindSet) -> Result<()> {
    if kinds.is_empty() {
        return Ok(());
    }
    let types = ThreadNameSpaceType::from_bits_retain(kinds.flags().bits());
    move_into_thread_name_spaces(pidfd.as_fd(), types).map_err(|errno| Error::JoinProcess {
        kinds,
        source: SyscallError::new("setns", format!("pidfd, {kinds:?}"), errno),
    })
}

/// Makes a namespace that takes no more than a system call: cgroup, time or mount. The caller is in it at once,
/// but in a time namespace only its later children are. `CAP_SYS_ADMIN`.
pub fn unshare(kind: NamespaceKind) -> Result<()> {
    nsfs::unshare(kind.flag().bits()).map_err(|source| Error::Create { kind, source })
}

fn join(kind: NamespaceKind, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let link = match kind {
        NamespaceKind::User => LinkNameSpaceType::User,
        NamespaceKind::Cgroup => LinkNameSpaceType::ControlGroup,
        NamespaceKind::Ipc => LinkNameSpaceType::InterProcessCommunication,
        NamespaceKind::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        NamespaceKind::Net => LinkNameSpaceType::Network,
        NamespaceKind::Pid => LinkNameSpaceType::ProcessID,
        NamespaceKind::Mount => LinkNameSpaceType::Mount,
        NamespaceKind::Time => LinkNameSpaceType::Time,
    };
    move_into_link_name_space(fd, Some(link))
}

fn failure(kind: NamespaceKind, errno: Errno) -> Error {
    Error::Join { kind, source: SyscallError::new("setns", kind.to_string(), errno) }
}
