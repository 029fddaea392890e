//! Putting the caller under a filter.

use coracle_sys::seccomp::{self, FilterFlags};

use crate::{BpfProgram, Error, Listener};

impl BpfProgram {
    /// Puts the calling thread, and what it will fork and execute, under the program. There is no way
    /// back.
    ///
    /// If the program [notifies](BpfProgram::notifies), the result is the listener that receives the
    /// notifications (close-on-exec); without it, such calls would fail. Whoever serves it must not be
    /// under the program. With
    /// [`FilterFlags::TSYNC`] all threads of the process come under the program.
    /// [`FilterFlags::WAIT_KILLABLE_RECV`] is left out where nothing notifies.
    ///
    /// Needs the thread's no_new_privs attribute, or `CAP_SYS_ADMIN` in its user namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Load`].
    pub fn load(&self, flags: FilterFlags) -> Result<Option<Listener>, Error> {
        let flags = match self.notifies() {
            true => flags | FilterFlags::NEW_LISTENER,
            false if flags.contains(FilterFlags::NEW_LISTENER) => flags,
            false => flags - FilterFlags::WAIT_KILLABLE_RECV,
        };
        let listener = seccomp::load(self.instructions(), flags).map_err(Error::Load)?;
        Ok(listener.map(Listener::from))
    }
}

/// The flag that an OCI configuration calls `name`: `SECCOMP_FILTER_FLAG_` and `TSYNC`, `LOG`,
/// `SPEC_ALLOW` or `WAIT_KILLABLE_RECV`.
///
/// # Errors
///
/// [`Error::UnknownName`]
pub fn parse_flag(name: &str) -> Result<FilterFlags, Error> {
    let flag = name.strip_prefix("SECCOMP_FILTER_FLAG_").and_then(FilterFlags::from_name);
    flag.filter(|flag| OCI_FLAGS.contains(*flag))
        .ok_or_else(|| Error::UnknownName { kind: "flag", name: name.to_owned() })
}

/// The flags that OCI configurations can have.
pub const OCI_FLAGS: FilterFlags = FilterFlags::TSYNC
    .union(FilterFlags::LOG)
    .union(FilterFlags::SPEC_ALLOW)
    .union(FilterFlags::WAIT_KILLABLE_RECV);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_flags_of_the_specification() {
        assert_eq!(parse_flag("SECCOMP_FILTER_FLAG_TSYNC"), Ok(FilterFlags::TSYNC));
        assert_eq!(
            parse_flag("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
            Ok(FilterFlags::WAIT_KILLABLE_RECV)
        );
        for wrong in ["TSYNC", "SECCOMP_FILTER_FLAG_NEW_LISTENER", "SECCOMP_FILTER_FLAG_"] {
            assert!(parse_flag(wrong).is_err(), "{wrong}");
        }
    }
}
