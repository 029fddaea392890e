//! How a process ended.

use rustix::process::WaitIdStatus;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it.
    Signaled(u8),
}

impl ExitStatus {
    pub(crate) fn from_waitid(status: &WaitIdStatus) -> Self {
        let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
        match status.exit_status() {
            Some(code) => Self::Exited(byte(code)),
            None => Self::Signaled(byte(status.terminating_signal().unwrap_or(0))),
        }
    }

    /// The status a shell would report: the process's own, or 128 + the signal.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => signal.saturating_add(128),
        }
    }
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Signaled(signal) => write!(f, "signal {signal}"),
        }
    }
}
