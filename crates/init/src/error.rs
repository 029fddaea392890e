//! A step that failed, as it is reported to the host.

use std::error::Error;
use std::fmt;

use coracle_sys::SyscallError;
use serde::{Deserialize, Serialize};

/// A step of the plan that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitError {
    /// What was being done, as "mounting /proc".
    pub step: String,
    /// What went wrong, from the general to the system call.
    pub causes: Vec<String>,
    /// The errno of that call, where there is one.
    pub errno: Option<i32>,
}

impl InitError {
    /// A failure of `step`.
    pub(crate) fn new(step: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        let mut causes = Vec::new();
        let mut errno = None;
        let mut next = Some(error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            if let Some(call) = cause.downcast_ref::<SyscallError>() {
                errno = Some(call.errno().raw_os_error());
            }
            next = cause.source();
        }
        Self { step: step.into(), causes, errno }
    }

    /// A failure of `step` that no system call reported.
    pub(crate) fn message(step: impl Into<String>, message: impl Into<String>) -> Self {
        Self { step: step.into(), causes: vec![message.into()], errno: None }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.causes.join(": "))
    }
}

impl Error for InitError {}

/// Names the step in which something failed.
pub(crate) trait Step<T> {
    /// The failure of `step`.
    fn step(self, step: impl Into<String>) -> Result<T, InitError>;
}

impl<T, E: Error + 'static> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, InitError> {
        self.map_err(|error| InitError::new(step, &error))
    }
}
