//! A failed system call: its name, its arguments and the errno.

use std::borrow::Cow;
use std::fmt;

pub use rustix::io::Errno;

/// What the fallible functions of this crate return.
pub type Result<T, E = SyscallError> = std::result::Result<T, E>;

/// A system call that the kernel refused.
///
/// Prints as `mount_setattr(5</rootfs/proc>, RDONLY): EINVAL (invalid argument)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyscallError {
    call: Cow<'static, str>,
    args: String,
    errno: Errno,
}

impl SyscallError {
    /// A failure of `call`; `args` is what a reader needs to know of its arguments.
    pub fn new(
        call: impl Into<Cow<'static, str>>,
        args: impl Into<String>,
        errno: impl Into<Errno>,
    ) -> Self {
        Self { call: call.into(), args: args.into(), errno: errno.into() }
    }

    /// A failure of `call` that the standard library reported; an error without an errno counts as `EIO`.
    pub fn from_io(
        call: impl Into<Cow<'static, str>>,
        args: impl Into<String>,
        error: &std::io::Error,
    ) -> Self {
        Self::new(call, args, Errno::from_io_error(error).unwrap_or(Errno::IO))
    }

    /// The errno of the last failed libc call of this thread.
    pub(crate) fn last(call: &'static str, args: impl Into<String>) -> Self {
        Self::from_io(call, args, &std::io::Error::last_os_error())
    }

    /// The name of the call, as in its man page.
    pub fn call(&self) -> &str {
        &self.call
    }

    /// The arguments as printed.
    pub fn args(&self) -> &str {
        &self.args
    }

    /// Why the kernel refused.
    pub fn errno(&self) -> Errno {
        self.errno
    }
}

impl fmt::Display for SyscallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}): {}", self.call, self.args, Named(self.errno))?;
        match SINCE.iter().find(|(call, _)| *call == self.call) {
            Some((_, version)) if self.errno == Errno::NOSYS => {
                write!(f, "; it needs Linux {version}, and no seccomp filter that hides it")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for SyscallError {}

/// The calls that old kernels lack, and filters that are older than the call: the first version of Linux with
/// what we need of it.
const SINCE: [(&str, &str); 12] = [
    ("clone3", "5.5"),
    ("close_range", "5.9"),
    ("fsconfig", "5.2"),
    ("fsmount", "5.2"),
    ("fsopen", "5.2"),
    ("mount_setattr", "5.12"),
    ("move_mount", "5.2"),
    ("open_tree", "5.2"),
    ("open_tree_attr", "6.15"),
    ("openat2", "5.6"),
    ("pidfd_open", "5.3"),
    ("pidfd_send_signal", "5.1"),
];

/// An errno that prints as `EINVAL (invalid argument)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named(pub Errno);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.raw_os_error();
        // In lower case, as messages are that engines search. The text of std ends in " (os error 22)"; the name says the same, better.
        let text = std::io::Error::from_raw_os_error(code).to_string();
        let text = text.split(" (os error").next().unwrap_or_default().to_lowercase();
        match NAMES.iter().find(|(number, _)| *number == code) {
            Some((_, name)) => write!(f, "{name} ({text})"),
            None => write!(f, "errno {code} ({text})"),
        }
    }
}

macro_rules! names {
    ($($name:ident)*) => { [$((libc::$name, stringify!($name))),*] };
}

/// The errnos of errno(3) that the calls of a container can return.
const NAMES: [(i32, &str); 55] = names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
    ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOSYS ENOTEMPTY ELOOP
    ENODATA EOVERFLOW EUSERS EOPNOTSUPP EADDRINUSE EADDRNOTAVAIL ENETDOWN ECONNRESET ENOBUFS
    ENOTCONN ETIMEDOUT ECONNREFUSED ESTALE EDQUOT ECANCELED EMEDIUMTYPE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_call_arguments_and_errno() {
        let error = SyscallError::new("mount_setattr", "5</rootfs/proc>, RDONLY", Errno::INVAL);
        assert_eq!(
            error.to_string(),
            "mount_setattr(5</rootfs/proc>, RDONLY): EINVAL (invalid argument)"
        );
    }

    #[test]
    fn says_which_kernel_has_the_call() {
        let error = SyscallError::new("openat2", "/etc", Errno::NOSYS).to_string();
        assert!(error.contains("ENOSYS") && error.contains("needs Linux 5.6"), "{error}");
        let error = SyscallError::new("read", "3", Errno::NOSYS).to_string();
        assert!(error.ends_with("(function not implemented)"), "{error}");
    }
}
