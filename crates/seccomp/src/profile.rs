//! What a filter shall do, before it is compiled.

use std::fmt;
use std::str::FromStr;

use crate::{Action, Arch, Error};

/// A filter as the OCI runtime specification describes it (config-linux, "Seccomp").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// What happens to calls that no rule matches.
    pub default_action: Action,
    /// The architectures whose calls the rules are for. A call by another architecture's convention
    /// kills the process. [`Profile::new`] starts with the host's, to which an OCI configuration adds.
    pub architectures: Vec<Arch>,
    /// The rules; [`compile`](crate::compile) says how they work together.
    pub rules: Vec<Rule>,
    /// Whether calls that are newer than the profile fail with `ENOSYS` instead of the default action,
    /// so that programs fall back to older ones; [`compile`](crate::compile) says when. True at first.
    pub newer_is_enosys: bool,
    /// Whether the listener is notified of each call that would be denied, be it by a rule or by default: of
    /// all but what is allowed or logged. Architectures that are not listed still kill. False at first.
    pub notifies_of_denials: bool,
}

impl Profile {
    /// A profile for the host's architecture, without rules.
    pub fn new(default_action: Action) -> Self {
        Self {
            default_action,
            architectures: Arch::native().into_iter().collect(),
            rules: Vec::new(),
            newer_is_enosys: true,
            notifies_of_denials: false,
        }
    }

    /// What becomes of calls for which the profile says `action`.
    pub(crate) const fn outcome(&self, action: Action) -> Action {
        match action {
            Action::Allow | Action::Log => action,
            _ if self.notifies_of_denials => Action::Notify,
            _ => action,
        }
    }
}

/// What happens to some system calls, perhaps only with certain arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The calls. A name that an architecture does not have is skipped there.
    pub names: Vec<String>,
    /// What happens to them.
    pub action: Action,
    /// Which arguments they must have: all of these, but any of these if they compare the same
    /// argument twice (as runc does).
    pub args: Vec<Comparator>,
}

impl Rule {
    /// A rule for calls with any arguments.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>, action: Action) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), action, args: Vec::new() }
    }

    /// The same rule, with another comparison.
    #[must_use]
    pub fn when(mut self, comparator: Comparator) -> Self {
        self.args.push(comparator);
        self
    }
}

/// A comparison with an argument of a system call.
///
/// 64-bit architectures compare as unsigned 64-bit numbers, others the lower 32 bits of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Comparator {
    /// Which argument, from 0 to 5.
    pub index: u32,
    /// How it is compared.
    pub op: Operator,
    /// With what; for [`Operator::MaskedEqual`] the mask.
    pub value: u64,
    /// With what, under the mask; unused by the other operators.
    pub value_two: u64,
}

impl Comparator {
    /// A comparison with one number.
    pub const fn new(index: u32, op: Operator, value: u64) -> Self {
        Self { index, op, value, value_two: 0 }
    }

    /// The comparison `argument & mask == value & mask`.
    pub const fn masked(index: u32, mask: u64, value: u64) -> Self {
        Self { index, op: Operator::MaskedEqual, value: mask, value_two: value }
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, op, value, value_two } = self;
        let sign = match op {
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Equal => "==",
            Operator::GreaterOrEqual => ">=",
            Operator::Greater => ">",
            Operator::MaskedEqual => {
                return write!(f, "argument {index} & {value:#x} == {:#x}", value & value_two);
            }
        };
        write!(f, "argument {index} {sign} {value:#x}")
    }
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `argument != value`
    NotEqual,
    /// `argument < value`
    Less,
    /// `argument <= value`
    LessOrEqual,
    /// `argument == value`
    Equal,
    /// `argument >= value`
    GreaterOrEqual,
    /// `argument > value`
    Greater,
    /// `argument & value == value_two & value`
    MaskedEqual,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 7] = [
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Equal,
        Self::GreaterOrEqual,
        Self::Greater,
        Self::MaskedEqual,
    ];

    /// The name in OCI configurations.
    pub const fn oci_name(self) -> &'static str {
        match self {
            Self::NotEqual => "SCMP_CMP_NE",
            Self::Less => "SCMP_CMP_LT",
            Self::LessOrEqual => "SCMP_CMP_LE",
            Self::Equal => "SCMP_CMP_EQ",
            Self::GreaterOrEqual => "SCMP_CMP_GE",
            Self::Greater => "SCMP_CMP_GT",
            Self::MaskedEqual => "SCMP_CMP_MASKED_EQ",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.oci_name())
    }
}

impl FromStr for Operator {
    type Err = Error;

    /// Takes the name in OCI configurations.
    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|operator| operator.oci_name() == name);
        known.ok_or_else(|| Error::UnknownName { kind: "operator", name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_go_there_and_back() {
        for operator in Operator::ALL {
            assert_eq!(operator.to_string().parse(), Ok(operator));
        }
        let error = "SCMP_CMP_LIKE".parse::<Operator>().unwrap_err();
        assert_eq!(error.to_string(), r#"unknown seccomp operator "SCMP_CMP_LIKE""#);
    }
}
