//! What happens to a system call.

use std::fmt;

use coracle_sys::{Errno, Named};

use crate::Error;

/// What the kernel does with a system call; see seccomp(2), "Filter return values".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The process dies as if of `SIGSYS`.
    KillProcess,
    /// The thread dies as if of `SIGSYS`, and with the last thread the process.
    KillThread,
    /// The thread gets a `SIGSYS` it can handle, with this number as `si_errno`.
    Trap(u16),
    /// The call fails with this errno (at most [`Action::MAX_ERRNO`]) and does nothing.
    Errno(u16),
    /// The listener of the filter decides; see seccomp_unotify(2).
    Notify,
    /// The tracer decides, and learns this number; without a tracer the call fails with `ENOSYS`.
    Trace(u16),
    /// The call is made, and logged.
    Log,
    /// The call is made.
    Allow,
}

impl Action {
    /// The largest errno that the kernel returns: `MAX_ERRNO` of linux/err.h.
    pub const MAX_ERRNO: u16 = 4095;

    /// The names that [`Action::from_oci`] takes.
    pub const OCI_NAMES: [&str; 9] = [
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_LOG",
        "SCMP_ACT_NOTIFY",
    ];

    /// The action that an OCI configuration calls `name`, with its `errnoRet` or `defaultErrnoRet`.
    ///
    /// As the runtime specification has it (config-linux, "Seccomp"), the errno is `EPERM` if not given,
    /// and an error if the action returns none. `SCMP_ACT_TRAP` takes 0 if not given, as in libseccomp.
    pub fn from_oci(name: &str, errno: Option<u32>) -> Result<Self, Error> {
        const EPERM: u32 = 1;
        let action = match name {
            "SCMP_ACT_ERRNO" => return Ok(Self::Errno(data(errno.unwrap_or(EPERM))?)),
            "SCMP_ACT_TRACE" => return Ok(Self::Trace(data(errno.unwrap_or(EPERM))?)),
            "SCMP_ACT_TRAP" => return Ok(Self::Trap(data(errno.unwrap_or(0))?)),
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Self::KillThread,
            "SCMP_ACT_KILL_PROCESS" => Self::KillProcess,
            "SCMP_ACT_NOTIFY" => Self::Notify,
            "SCMP_ACT_LOG" => Self::Log,
            "SCMP_ACT_ALLOW" => Self::Allow,
            _ => return Err(Error::UnknownName { kind: "action", name: name.to_owned() }),
        };
        match errno {
            None => Ok(action),
            Some(_) => Err(Error::ErrnoNotReturned { action: name.to_owned() }),
        }
    }

    /// The name in OCI configurations.
    pub const fn oci_name(self) -> &'static str {
        match self {
            Self::KillProcess => "SCMP_ACT_KILL_PROCESS",
            Self::KillThread => "SCMP_ACT_KILL_THREAD",
            Self::Trap(_) => "SCMP_ACT_TRAP",
            Self::Errno(_) => "SCMP_ACT_ERRNO",
            Self::Notify => "SCMP_ACT_NOTIFY",
            Self::Trace(_) => "SCMP_ACT_TRACE",
            Self::Log => "SCMP_ACT_LOG",
            Self::Allow => "SCMP_ACT_ALLOW",
        }
    }

    /// The filter's return value for this action.
    pub const fn return_value(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap(data) => 0x0003_0000 | data as u32,
            Self::Errno(data) => 0x0005_0000 | data as u32,
            Self::Notify => 0x7fc0_0000,
            Self::Trace(data) => 0x7ff0_0000 | data as u32,
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// The action with this return value; nothing for one that the kernel does not know either.
    pub const fn of_return_value(value: u32) -> Option<Self> {
        let [low, high, ..] = value.to_le_bytes();
        let data = u16::from_le_bytes([low, high]);
        Some(match value & 0xffff_0000 {
            0x8000_0000 => Self::KillProcess,
            0 => Self::KillThread,
            0x0003_0000 => Self::Trap(data),
            0x0005_0000 => Self::Errno(data),
            0x7fc0_0000 => Self::Notify,
            0x7ff0_0000 => Self::Trace(data),
            0x7ffc_0000 => Self::Log,
            0x7fff_0000 => Self::Allow,
            _ => return None,
        })
    }

    /// How much the action lets through: the kernel's order of precedence among filters.
    pub(crate) const fn permissiveness(self) -> i32 {
        (self.return_value() & 0xffff_0000).cast_signed()
    }
}

impl fmt::Display for Action {
    /// Says what becomes of the call.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillProcess => f.write_str("kills the process"),
            Self::KillThread => f.write_str("kills the thread"),
            Self::Trap(0) => f.write_str("raises SIGSYS"),
            Self::Trap(data) => write!(f, "raises SIGSYS with errno {data}"),
            Self::Errno(errno) => {
                let errno = Errno::from_raw_os_error((*errno).into());
                write!(f, "fails with {}", Named(errno))
            }
            Self::Notify => f.write_str("is decided by the agent"),
            Self::Trace(data) => write!(f, "is decided by the tracer, who is told {data}"),
            Self::Log => f.write_str("is allowed, and logged"),
            Self::Allow => f.write_str("is allowed"),
        }
    }
}

fn data(errno: u32) -> Result<u16, Error> {
    let small = u16::try_from(errno).ok().filter(|errno| *errno <= Action::MAX_ERRNO);
    small.ok_or(Error::ErrnoTooLarge { errno })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oci_name_is_an_action() {
        for name in Action::OCI_NAMES {
            Action::from_oci(name, None).unwrap();
        }
        assert_eq!(Action::from_oci("SCMP_ACT_KILL", None), Ok(Action::KillThread));
        let error = Action::from_oci("SCMP_ACT_NONE", None).unwrap_err();
        assert_eq!(error.to_string(), r#"unknown seccomp action "SCMP_ACT_NONE""#);
    }

    #[test]
    fn takes_an_errno_where_one_is_returned() {
        assert_eq!(Action::from_oci("SCMP_ACT_ERRNO", None), Ok(Action::Errno(1)));
        assert_eq!(Action::from_oci("SCMP_ACT_ERRNO", Some(38)), Ok(Action::Errno(38)));
        assert_eq!(Action::from_oci("SCMP_ACT_TRACE", None), Ok(Action::Trace(1)));
        assert_eq!(Action::from_oci("SCMP_ACT_TRAP", None), Ok(Action::Trap(0)));
        let error = Action::from_oci("SCMP_ACT_ALLOW", Some(1)).unwrap_err();
        assert_eq!(error, Error::ErrnoNotReturned { action: "SCMP_ACT_ALLOW".to_owned() });
        let error = Action::from_oci("SCMP_ACT_ERRNO", Some(4096)).unwrap_err();
        assert_eq!(error.to_string(), "errno 4096 is beyond 4095, the largest there is");
    }

    #[test]
    fn returns_what_seccomp_2_says() {
        assert_eq!(Action::Errno(38).return_value(), 0x0005_0026);
        for name in Action::OCI_NAMES {
            let action = Action::from_oci(name, None).unwrap();
            assert_eq!(Action::of_return_value(action.return_value()), Some(action));
        }
        assert_eq!(Action::of_return_value(0x1234_0000), None);
        assert_eq!(Action::Trace(1).return_value(), 0x7ff0_0001);
        assert_eq!(Action::Allow.return_value(), 0x7fff_0000);
    }

    #[test]
    fn permissiveness_is_the_kernels_precedence() {
        let actions = [
            Action::KillProcess,
            Action::KillThread,
            Action::Trap(9),
            Action::Errno(1),
            Action::Notify,
            Action::Trace(1),
            Action::Log,
            Action::Allow,
        ];
        assert!(actions.is_sorted_by_key(|action| action.permissiveness()));
        assert_eq!(Action::Errno(1).permissiveness(), Action::Errno(2).permissiveness());
    }
}
