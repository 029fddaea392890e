//! A set of capabilities.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

/// A set of capabilities, one bit a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapSet(u64);

impl CapSet {
    /// All that can ever be.
    pub const ALL: Self = Self(u64::MAX);

    /// The set of the one capability `name`, as `CAP_SYS_ADMIN`; nothing if the name is not known.
    pub fn named(name: &str) -> Option<Self> {
        let short = name.strip_prefix("CAP_")?;
        CapabilitySet::from_name(short).map(|set| Self(set.bits()))
    }

    /// The names of all capabilities that have one, in the order of their numbers.
    pub fn known_names() -> impl Iterator<Item = String> {
        CapabilitySet::all().iter_names().map(|(name, _)| format!("CAP_{name}"))
    }

    /// The set with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bit N is capability number N.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Has it no member?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each member as a set of its own.
    pub fn iter(self) -> impl Iterator<Item = Self> {
        (0..u64::BITS).map(|number| Self(1 << number)).filter(move |one| self.0 & one.0 != 0)
    }

    pub(crate) fn to_rustix(self) -> CapabilitySet {
        CapabilitySet::from_bits_retain(self.0)
    }
}

impl BitAnd for CapSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for CapSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Sub for CapSet {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<Self> for CapSet {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        sets.into_iter().fold(Self::default(), |all, set| all | set)
    }
}

/// The names, by number where there is none.
impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            match one.to_rustix().iter_names().next() {
                Some((name, _)) => write!(f, "{separator}CAP_{name}")?,
                None => write!(f, "{separator}{}", one.0.trailing_zeros())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(CapSet::named("CAP_SYS_ADMIN"), Some(CapSet::from_bits(1 << 21)));
        assert_eq!(CapSet::named("SYS_ADMIN"), None);
        assert_eq!(CapSet::named("CAP_FUTURE"), None);
        assert_eq!(CapSet::from_bits(1 | 1 << 63).to_string(), "CAP_CHOWN 63");
        assert_eq!(CapSet::known_names().count(), 41);
    }
}
