//! What can be wrong with a bundle.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use coracle_sys::SyscallError;

/// What the fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a bundle or an ID cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no container ID.
    #[error(
        "container ID {id:?} {reason}; use 1 to 255 of the characters A-Z a-z 0-9 _ + - . (but not \
         `.` or `..`)"
    )]
    ContainerId {
        /// What was given; only its beginning if it was long.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The bundle directory is missing, unreadable or no directory.
    #[error("cannot open bundle {}; give a directory that holds a config.json", dir.display())]
    OpenBundle {
        /// The directory as given.
        dir: PathBuf,
        /// The call that failed.
        source: SyscallError,
    },

    /// The bundle has no configuration.
    #[error("{} does not exist; `coracle spec` writes one to start from", path.display())]
    NoConfig {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The configuration cannot be read.
    #[error("cannot read {}", path.display())]
    ReadConfig {
        /// The configuration.
        path: PathBuf,
        /// The call that failed.
        source: SyscallError,
    },

    /// The configuration is a directory, a pipe, a device or a socket.
    #[error("{} is not a regular file; give the file that holds the configuration", path.display())]
    NotAFile {
        /// What was opened.
        path: PathBuf,
    },

    /// The configuration is larger than [`CONFIG_SIZE_LIMIT`](crate::CONFIG_SIZE_LIMIT).
    #[error("{} is larger than {} MiB; no container needs that", path.display(), crate::CONFIG_SIZE_LIMIT >> 20)]
    TooLarge {
        /// The configuration.
        path: PathBuf,
    },

    /// The configuration is not JSON; the source names line and column.
    #[error("{} is not valid JSON", path.display())]
    NotJson {
        /// The configuration.
        path: PathBuf,
        /// What the parser met, and where.
        source: serde_json::Error,
    },

    /// The configuration is JSON but describes no container that can be run; lists every problem.
    #[error("{}", list(path, violations))]
    Invalid {
        /// The configuration.
        path: PathBuf,
        /// The problems, in the order of the document's keys.
        violations: Vec<Violation>,
    },

    /// A configuration is there already and is not overwritten.
    #[error("{} exists already; remove it to get a new one", path.display())]
    ConfigExists {
        /// The existing file.
        path: PathBuf,
    },

    /// A new configuration cannot be written.
    #[error("cannot write {}", path.display())]
    WriteConfig {
        /// The file to be written.
        path: PathBuf,
        /// The call that failed.
        source: SyscallError,
    },
}

/// One problem of a configuration.
///
/// Prints on one line, as `/process/args: must not be empty (name the program to run)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where: a JSON pointer (RFC 6901) into the document; empty for the document as a whole. Keys of
    /// more than 100 characters are cut short.
    pub pointer: String,
    /// What was found and what is allowed.
    pub message: String,
    /// What to do about it, where there is something to say.
    pub hint: Option<Cow<'static, str>>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "(document)" } else { &self.pointer };
        // Keys are the author's: one with a newline or an escape sequence must not forge a line.
        write!(f, "{}: {}", pointer.escape_debug(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The problems of the configuration at `path`, one per line.
fn list(path: &std::path::Path, violations: &[Violation]) -> String {
    use fmt::Write as _;

    let plural = if violations.len() == 1 { "problem" } else { "problems" };
    let mut text = format!("{} has {} {plural}:", path.display(), violations.len());
    for violation in violations {
        // Writing to a String cannot fail.
        if write!(text, "\n  {violation}").is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_one_line_whatever_the_key() {
        let violation = Violation {
            pointer: "/annotations/a\nb\u{1b}[31m".into(),
            message: "must not be empty".into(),
            hint: None,
        };
        assert_eq!(violation.to_string(), r"/annotations/a\nb\u{1b}[31m: must not be empty");
    }
}
