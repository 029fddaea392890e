//! Container IDs.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The longest file name of Linux (`NAME_MAX`): an ID names the container's state directory.
const MAX: usize = 255;

/// The name of a container: unique on its host, safe as a file name and inside a cgroup path.
///
/// Has runc's alphabet: `A-Z a-z 0-9 _ + - .`, at least one character, not `.` or `..`; at most 255,
/// the longest name a directory can have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(String);

impl ContainerId {
    /// Checks `text` and takes it as an ID.
    ///
    /// # Errors
    ///
    /// [`Error::ContainerId`], which says what is allowed.
    pub fn parse(text: &str) -> Result<Self> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(reason) => Err(Error::ContainerId { id: text.chars().take(64).collect(), reason }),
        }
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fault(text: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > MAX {
        Some("is too long")
    } else if text == "." || text == ".." {
        Some("names a directory of its own")
    } else if !text.bytes().all(allowed) {
        Some("has a character that is not allowed")
    } else {
        None
    }
}

impl FromStr for ContainerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl AsRef<str> for ContainerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_runc_accepts() {
        for id in ["a", "web-1", "a.b_c+d", "..a", "...", "-x", &"x".repeat(255)] {
            assert_eq!(ContainerId::parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn refuses_what_could_leave_its_directory() {
        for id in ["", ".", "..", "a/b", "../x", "a b", "é", "a\0", "a\n", ":", &"x".repeat(256)] {
            assert!(matches!(ContainerId::parse(id), Err(Error::ContainerId { .. })), "{id:?}");
        }
    }

    #[test]
    fn the_error_says_what_is_allowed() {
        assert_eq!(
            ContainerId::parse("a/b").unwrap_err().to_string(),
            "container ID \"a/b\" has a character that is not allowed; use 1 to 255 of the \
             characters A-Z a-z 0-9 _ + - . (but not `.` or `..`)"
        );
    }
}
