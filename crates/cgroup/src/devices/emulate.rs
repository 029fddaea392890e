//! What a list of rules comes to: a default, and the exceptions from it.
//!
//! The kernel's v1 controller keeps the same two things, but is no help where a rule takes back
//! a part of a broader one: it ignores that silently. Here it is an error, on both versions.

use std::collections::BTreeMap;

use super::{DeviceAccess, DeviceKind, DeviceRule};
use crate::{Error, Result};

/// The devices of one exception. `kind` is never [`DeviceKind::All`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Devices {
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
    pub(crate) kind: DeviceKind,
}

impl Devices {
    fn covers(self, other: Self) -> bool {
        let covers = |a: Option<u32>, b| a.is_none() || a == b;
        self.kind == other.kind
            && covers(self.major, other.major)
            && covers(self.minor, other.minor)
    }

    fn overlaps(self, other: Self) -> bool {
        let overlaps = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind
            && overlaps(self.major, other.major)
            && overlaps(self.minor, other.minor)
    }
}

/// Everything allowed or everything denied, but for some exceptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) allow: bool,
    pub(crate) exceptions: BTreeMap<Devices, DeviceAccess>,
}

impl Policy {
    /// What a new cgroup has.
    pub(crate) const ALLOW_ALL: Self = Self { allow: true, exceptions: BTreeMap::new() };

    /// Applies the rules in order to [`Policy::ALLOW_ALL`].
    pub(crate) fn from_rules(rules: &[DeviceRule]) -> Result<Self> {
        let mut policy = Self::ALLOW_ALL;
        rules.iter().try_for_each(|rule| policy.apply(rule))?;
        Ok(policy)
    }

    /// Reads `devices.list` of v1. It does not list what is denied, so a policy that allows by
    /// default comes back without its exceptions.
    pub(crate) fn from_list(list: &str) -> Option<Self> {
        let mut policy = Self { allow: false, exceptions: BTreeMap::new() };
        for line in list.lines() {
            policy.apply(&parse(line)?).ok()?;
        }
        Some(policy)
    }

    fn apply(&mut self, rule: &DeviceRule) -> Result<()> {
        if rule.access.is_empty() {
            return Ok(());
        }
        let everything = rule.major.is_none() && rule.minor.is_none() && rule.access.is_all();
        if rule.kind == DeviceKind::All && everything {
            *self = Self { allow: rule.allow, exceptions: BTreeMap::new() };
            return Ok(());
        }
        let kinds: &[_] = match &rule.kind {
            DeviceKind::All => &[DeviceKind::Block, DeviceKind::Char],
            kind => std::slice::from_ref(kind),
        };
        for &kind in kinds {
            let devices = Devices { major: rule.major, minor: rule.minor, kind };
            if rule.allow == self.allow {
                self.take_back(devices, rule)?;
            } else {
                *self.exceptions.entry(devices).or_insert(DeviceAccess::empty()) |= rule.access;
            }
        }
        Ok(())
    }

    /// Takes a rule's devices out of the exceptions.
    fn take_back(&mut self, devices: Devices, rule: &DeviceRule) -> Result<()> {
        let is_hole = |(exception, access): (&Devices, &DeviceAccess)| {
            access.intersects(rule.access)
                && exception.overlaps(devices)
                && !devices.covers(*exception)
        };
        if self.exceptions.iter().any(is_hole) {
            return Err(Error::InvalidValue {
                setting: "device rule",
                value: rule.to_string(),
                reason: "takes back a part of an earlier rule with a wildcard, which the kernel \
                         cannot do; put the wildcard rule later or name its devices one by one",
            });
        }
        for (exception, access) in &mut self.exceptions {
            if devices.covers(*exception) {
                *access -= rule.access;
            }
        }
        self.exceptions.retain(|_, access| !access.is_empty());
        Ok(())
    }

    /// The fewest rules that make this policy into another, for the files of v1. Access that
    /// both allow is never denied in between; everything is allowed only where the other allows
    /// by default.
    pub(crate) fn transition(&self, to: &Self) -> Vec<DeviceRule> {
        let mut rules = Vec::new();
        let none = BTreeMap::new();
        let mut old = &self.exceptions;
        // What is denied in a cgroup that allows by default cannot be read: start afresh.
        if self.allow || self.allow != to.allow {
            rules.push(DeviceRule { allow: to.allow, ..DeviceRule::DENY_ALL });
            old = &none;
        }
        let missing = |from: &BTreeMap<Devices, _>, devices, access: DeviceAccess| {
            access.difference(from.get(devices).copied().unwrap_or(DeviceAccess::empty()))
        };
        let mut push = |allow, devices: &Devices, access: DeviceAccess| {
            if !access.is_empty() {
                let Devices { major, minor, kind } = *devices;
                rules.push(DeviceRule { allow, kind, major, minor, access });
            }
        };
        for (devices, access) in old {
            push(to.allow, devices, missing(&to.exceptions, devices, *access));
        }
        for (devices, access) in &to.exceptions {
            push(!to.allow, devices, missing(old, devices, *access));
        }
        rules
    }
}

/// A line of `devices.list`, which lists what is allowed.
fn parse(line: &str) -> Option<DeviceRule> {
    let mut fields = line.split([' ', ':']);
    let kind = match fields.next()? {
        "a" => return Some(DeviceRule { allow: true, ..DeviceRule::DENY_ALL }),
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Char,
        _ => return None,
    };
    let mut number = || match fields.next()? {
        "*" => Some(None),
        number => number.parse().ok().map(Some),
    };
    let (major, minor) = (number()?, number()?);
    let access = fields.next()?.chars().map(|letter| match letter {
        'r' => Some(DeviceAccess::READ),
        'w' => Some(DeviceAccess::WRITE),
        'm' => Some(DeviceAccess::MKNOD),
        _ => None,
    });
    let access = access.collect::<Option<Vec<_>>>()?.into_iter().collect();
    Some(DeviceRule { allow: true, kind, major, minor, access })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::default_device_rules;

    /// A rule from few numbers, so that rules meet.
    pub(crate) fn any_rule() -> impl Strategy<Value = DeviceRule> {
        let number = || prop_oneof![Just(None), (0..3_u32).prop_map(Some), Just(Some(u32::MAX))];
        let kind = prop_oneof![
            1 => Just(DeviceKind::All),
            3 => Just(DeviceKind::Block),
            6 => Just(DeviceKind::Char)
        ];
        (any::<bool>(), kind, number(), number(), 0..8_u8).prop_map(
            |(allow, kind, major, minor, access)| {
                let access = DeviceAccess::from_bits_truncate(access);
                DeviceRule { allow, kind, major, minor, access }
            },
        )
    }

    /// Every device that rules of [`any_rule`] can tell apart.
    pub(crate) fn all_devices() -> Vec<Devices> {
        let numbers = [0, 1, 2, 3, u32::MAX].map(Some);
        let mut devices = Vec::new();
        for kind in [DeviceKind::Block, DeviceKind::Char] {
            for major in numbers {
                devices.extend(numbers.map(|minor| Devices { major, minor, kind }));
            }
        }
        devices
    }

    impl Policy {
        /// What the kernel's v1 controller answers: one exception must allow all of an access,
        /// or deny any of it.
        pub(crate) fn allows(&self, devices: Devices, access: DeviceAccess) -> bool {
            let mut exceptions = self.exceptions.iter().filter(|(e, _)| e.covers(devices));
            if self.allow {
                !exceptions.any(|(_, denied)| denied.intersects(access))
            } else {
                exceptions.any(|(_, allowed)| allowed.contains(access))
            }
        }
    }

    /// The last rule that matches wins.
    fn naive(rules: &[DeviceRule], devices: Devices, access: DeviceAccess) -> bool {
        let matches = |rule: &&DeviceRule| {
            let Devices { major, minor, kind } = devices;
            let rule_devices = Devices { major: rule.major, minor: rule.minor, kind };
            (rule.kind == DeviceKind::All || rule.kind == kind)
                && rule_devices.covers(Devices { major, minor, kind })
                && rule.access.contains(access)
        };
        rules.iter().rev().find(matches).is_none_or(|rule| rule.allow)
    }

    proptest! {
        #[test]
        fn the_last_rule_wins(rules in prop::collection::vec(any_rule(), 0..8)) {
            let Ok(policy) = Policy::from_rules(&rules) else { return Ok(()) };
            for devices in all_devices() {
                for access in DeviceAccess::all().iter() {
                    prop_assert_eq!(
                        policy.allows(devices, access),
                        naive(&rules, devices, access),
                        "{:?} {:?}", devices, access
                    );
                }
            }
        }

        #[test]
        fn a_transition_arrives(
            from in prop::collection::vec(any_rule(), 0..6),
            to in prop::collection::vec(any_rule(), 0..6),
        ) {
            let (Ok(from), Ok(to)) = (Policy::from_rules(&from), Policy::from_rules(&to)) else {
                return Ok(());
            };
            let mut policy = from.clone();
            for rule in from.transition(&to) {
                // The kernel takes the rule on exactly these devices, and nothing else.
                let devices = Devices { major: rule.major, minor: rule.minor, kind: rule.kind };
                if rule.kind == DeviceKind::All {
                    policy = Policy { allow: rule.allow, exceptions: BTreeMap::new() };
                } else if rule.allow == policy.allow {
                    *policy.exceptions.get_mut(&devices).unwrap() -= rule.access;
                } else {
                    *policy.exceptions.entry(devices).or_insert(DeviceAccess::empty()) |= rule.access;
                }
            }
            policy.exceptions.retain(|_, access| !access.is_empty());
            prop_assert_eq!(policy, to);
        }
    }

    fn rule(allow: bool, text: &str) -> DeviceRule {
        DeviceRule { allow, ..parse(text).unwrap() }
    }

    #[test]
    fn a_hole_in_a_wildcard_is_refused() {
        for hole in ["c 1:3 r", "c *:3 r"] {
            let rules = [DeviceRule::DENY_ALL, rule(true, "c 1:* rw"), rule(false, hole)];
            let error = Policy::from_rules(&rules).unwrap_err().to_string();
            assert!(error.starts_with(&format!("device rule = {hole}: takes back")), "{error}");
        }
        let rules = [DeviceRule::DENY_ALL, rule(true, "c 1:3 rw"), rule(false, "c 1:* w")];
        let policy = Policy::from_rules(&rules).unwrap();
        assert_eq!(Policy::from_list("c 1:3 r").unwrap(), policy);
    }

    #[test]
    fn an_update_does_not_disturb_what_stays() {
        let list = |rules: &[DeviceRule]| {
            rules
                .iter()
                .map(|r| format!("{}{r}", if r.allow { '+' } else { '-' }))
                .collect::<Vec<_>>()
        };
        let from = Policy::from_list("c 1:3 rwm\nc 1:5 rwm\nb *:* m\n").unwrap();
        let to = Policy::from_list("c 1:3 rw\nc 1:8 rwm\nb *:* m\n").unwrap();
        assert_eq!(list(&from.transition(&to)), ["-c 1:3 m", "-c 1:5 rwm", "+c 1:8 rwm"]);
        let fresh = Policy::from_list("a *:* rwm\n").unwrap();
        assert_eq!(fresh, Policy::ALLOW_ALL);
        assert_eq!(list(&fresh.transition(&to))[0], "-a *:* rwm");
        assert_eq!(list(&to.transition(&Policy::ALLOW_ALL)), ["+a *:* rwm"]);
    }

    #[test]
    fn the_defaults_of_a_container() {
        let mut rules = vec![DeviceRule::DENY_ALL];
        rules.extend(default_device_rules());
        let policy = Policy::from_rules(&rules).unwrap();
        assert!(!policy.allow);
        assert_eq!(policy.exceptions.len(), 11);
    }

    #[test]
    fn refuses_lists_it_does_not_understand() {
        for list in ["x 1:3 rwm", "c 1 rwm", "c 1:3 q", "c 1:-3 r", "c"] {
            assert_eq!(Policy::from_list(list), None, "{list}");
        }
    }
}
