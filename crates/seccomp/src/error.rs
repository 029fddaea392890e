//! What can go wrong.

use coracle_sys::{Errno, SyscallError};

use crate::{Action, Arch};

/// Why a profile was not compiled, a program not loaded, or a listener of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name is not one of the kind.
    #[error("unknown seccomp {kind} {name:?}")]
    UnknownName {
        /// What was looked for: `action`, `operator`, `architecture` or `flag`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// An errno was given for an action that returns none.
    #[error("{action} returns no errno; leave errnoRet out, or use SCMP_ACT_ERRNO")]
    ErrnoNotReturned {
        /// The name of the action.
        action: String,
    },
    /// The kernel would return another errno.
    #[error("errno {errno} is beyond {max}, the largest there is", max = Action::MAX_ERRNO)]
    ErrnoTooLarge {
        /// What was given.
        errno: u32,
    },
    /// There is no table of this architecture's system calls.
    #[error("the system calls of {0} are not known to this build; leave the architecture out")]
    UnsupportedArchitecture(Arch),
    /// A filter for no architecture would kill whatever it is applied to.
    #[error("the profile names no architecture; add that of the host")]
    NoArchitecture,
    /// A rule looks at an argument that no system call has.
    #[error("the rule for {names} compares argument {index}; arguments are counted from 0 to 5")]
    ArgumentIndex {
        /// The system calls of the rule.
        names: String,
        /// What was given.
        index: u32,
    },
    /// The kernel takes [`BpfProgram::MAX_LEN`](crate::BpfProgram::MAX_LEN) instructions at most.
    #[error("the filter needs {0} instructions, more than the kernel takes; list fewer exceptions")]
    TooLong(usize),
    /// The kernel would refuse the program.
    #[error("not a seccomp program: {reason} at instruction {at}")]
    InvalidProgram {
        /// The index of the instruction.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The kernel refused the filter.
    #[error("cannot load the seccomp filter{}", hint(.0.errno()))]
    Load(#[source] SyscallError),
    /// The listener of a filter failed.
    #[error("cannot serve the calls that a seccomp filter notifies of")]
    Listener(#[source] SyscallError),
}

/// What the errnos of seccomp(2) ask for.
fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::ACCESS => "; set no_new_privs first, or keep CAP_SYS_ADMIN until then",
        Errno::BUSY => "; there is a filter with a listener already, and there can be but one",
        Errno::INVAL => "; the kernel does not know all of its flags and actions",
        Errno::SRCH => "; another thread has a filter of its own, so leave TSYNC out",
        _ => "",
    }
}
