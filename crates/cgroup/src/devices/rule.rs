//! One rule, as `linux.resources.devices` of an OCI configuration has it.

use std::fmt;

bitflags::bitflags! {
    /// What a rule is about.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct DeviceAccess: u8 {
        /// Create a node for it, with mknod(2).
        const MKNOD = 1;
        /// Open it for reading.
        const READ = 2;
        /// Open it for writing.
        const WRITE = 4;
    }
}

/// Which sort of device a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    /// Both sorts.
    All,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// Allows or denies some use of some devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it allows.
    pub allow: bool,
    /// The sort of device.
    pub kind: DeviceKind,
    /// The major number; all of them if `None`.
    pub major: Option<u32>,
    /// The minor number; all of them if `None`.
    pub minor: Option<u32>,
    /// The use.
    pub access: DeviceAccess,
}

impl DeviceRule {
    /// Denies everything: the usual first rule of a list.
    pub const DENY_ALL: Self = Self {
        allow: false,
        kind: DeviceKind::All,
        major: None,
        minor: None,
        access: DeviceAccess::all(),
    };

    const fn allow(
        kind: DeviceKind,
        major: Option<u32>,
        minor: Option<u32>,
        access: DeviceAccess,
    ) -> Self {
        Self { allow: true, kind, major, minor, access }
    }
}

impl fmt::Display for DeviceRule {
    /// As the files of the v1 controller have it: `c 1:3 rwm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::All => 'a',
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        write!(f, "{kind} {}:{} ", Number(self.major), Number(self.minor))?;
        let letters =
            [(DeviceAccess::READ, "r"), (DeviceAccess::WRITE, "w"), (DeviceAccess::MKNOD, "m")];
        letters
            .iter()
            .filter(|(bit, _)| self.access.contains(*bit))
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

struct Number(Option<u32>);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("*"),
        }
    }
}

/// What every container may use, to be appended to the rules of its configuration: mknod of any
/// device, the nodes of a minimal /dev, pseudo-terminals and tun. The same as runc's.
pub fn default_device_rules() -> Vec<DeviceRule> {
    use DeviceKind::{Block, Char};
    let all = DeviceAccess::all();
    let mut rules = vec![
        DeviceRule::allow(Char, None, None, DeviceAccess::MKNOD),
        DeviceRule::allow(Block, None, None, DeviceAccess::MKNOD),
    ];
    // null, random, full, tty, zero, urandom
    let nodes = [(1, 3), (1, 8), (1, 7), (5, 0), (1, 5), (1, 9)];
    rules
        .extend(nodes.map(|(major, minor)| DeviceRule::allow(Char, Some(major), Some(minor), all)));
    rules.extend([
        // /dev/pts
        DeviceRule::allow(Char, Some(136), None, all),
        // ptmx
        DeviceRule::allow(Char, Some(5), Some(2), all),
        // net/tun
        DeviceRule::allow(Char, Some(10), Some(200), all),
    ]);
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_the_kernel_reads() {
        assert_eq!(DeviceRule::DENY_ALL.to_string(), "a *:* rwm");
        let printed: Vec<_> = default_device_rules().iter().map(ToString::to_string).collect();
        assert_eq!(
            printed,
            [
                "c *:* m",
                "b *:* m",
                "c 1:3 rwm",
                "c 1:8 rwm",
                "c 1:7 rwm",
                "c 5:0 rwm",
                "c 1:5 rwm",
                "c 1:9 rwm",
                "c 136:* rwm",
                "c 5:2 rwm",
                "c 10:200 rwm",
            ]
        );
    }
}
