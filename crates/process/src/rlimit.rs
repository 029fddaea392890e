//! Resource limits; see getrlimit(2).

use rustix::process::{Resource, Rlimit as Pair, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// No limit (`RLIM_INFINITY`).
pub const UNLIMITED: u64 = u64::MAX;

/// One resource limit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Of what.
    pub kind: RlimitKind,
    /// What is in force; in the resource's unit (bytes, seconds, pieces).
    pub soft: u64,
    /// Up to where the process may raise it.
    pub hard: u64,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $resource:ident $name:literal)*) => {
        /// What a resource limit limits.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "getrlimit(2) says what each one means")]
        pub enum RlimitKind { $($kind),* }

        impl RlimitKind {
            /// The kind called `name`, as `RLIMIT_NOFILE`.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$kind),)* _ => None }
            }

            /// Its name, as `RLIMIT_NOFILE`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            const fn resource(self) -> Resource {
                match self { $(Self::$kind => Resource::$resource),* }
            }
        }
    };
}

kinds! {
    AddressSpace As "RLIMIT_AS"
    Core Core "RLIMIT_CORE"
    Cpu Cpu "RLIMIT_CPU"
    Data Data "RLIMIT_DATA"
    FileSize Fsize "RLIMIT_FSIZE"
    Locks Locks "RLIMIT_LOCKS"
    MemLock Memlock "RLIMIT_MEMLOCK"
    MsgQueue Msgqueue "RLIMIT_MSGQUEUE"
    Nice Nice "RLIMIT_NICE"
    NoFile Nofile "RLIMIT_NOFILE"
    Nproc Nproc "RLIMIT_NPROC"
    Rss Rss "RLIMIT_RSS"
    RtPrio Rtprio "RLIMIT_RTPRIO"
    RtTime Rttime "RLIMIT_RTTIME"
    SigPending Sigpending "RLIMIT_SIGPENDING"
    Stack Stack "RLIMIT_STACK"
}

impl Rlimit {
    /// Puts the limit in force for the calling process. Raising the hard limit needs `CAP_SYS_RESOURCE`.
    pub fn apply(&self) -> Result<()> {
        self.set(Pair { current: finite(self.soft), maximum: finite(self.hard) })
    }

    /// Raises the hard limit of the calling process where it is lower, and leaves the soft one.
    ///
    /// A launcher with privilege does this for a child that will set the exact limit without it.
    pub fn make_room(&self) -> Result<()> {
        let now = getrlimit(self.kind.resource());
        if now.maximum.is_none_or(|maximum| maximum >= self.hard) {
            return Ok(());
        }
        self.set(Pair { current: now.current, maximum: finite(self.hard) })
    }

    fn set(&self, pair: Pair) -> Result<()> {
        setrlimit(self.kind.resource(), pair).map_err(|errno| {
            let args = format!("{}, soft {}, hard {}", self.kind.name(), self.soft, self.hard);
            let what = "cannot set a resource limit (raising a hard limit needs CAP_SYS_RESOURCE)";
            Error::syscall(what, "setrlimit", args, errno)
        })
    }
}

fn finite(limit: u64) -> Option<u64> {
    (limit != UNLIMITED).then_some(limit)
}
