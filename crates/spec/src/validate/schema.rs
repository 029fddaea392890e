//! Tables that say what a document may hold, and the walk that holds a document to them.
//!
//! The walk also normalises what it passes, so that the typed parse after it cannot fail: `null`, and an
//! empty text in an optional field, mean that the field is missing, as they do for the Go types which
//! most documents are written with; an unknown field is reported and taken out.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::report::{At, Fault, Report, shown_text};
use crate::json::{Map, Value};

/// What a text rule says of a text.
pub(crate) type Verdict = Result<(), Fault>;
/// Checks of an object that concern more than one member. Runs after the members were checked; a member
/// may still be of the wrong type.
pub(crate) type ObjectRule = fn(&mut Report, &At<'_>, &mut Map<'_>);
/// Checks of a list that concern more than one item, as [`ObjectRule`].
pub(crate) type ListRule = fn(&mut Report, &At<'_>, &[Value<'_>]);

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Kind {
    Bool,
    /// An integer in a range, both ends included.
    Int(i128, i128),
    /// A text without NUL that satisfies a rule.
    Text(fn(&str) -> Verdict),
    /// One of these names.
    OneOf(&'static [&'static str]),
    List(&'static Kind, ListRule),
    /// An object with any keys that satisfy the rule.
    Map(fn(&str) -> Verdict, &'static Kind),
    Object(&'static Object),
    /// The section of another operating system.
    Foreign,
}

/// An object with named members.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) fields: &'static [Field],
    pub(crate) rule: ObjectRule,
}

/// A member of an [`Object`].
#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    kind: Kind,
    /// What to do if the field is missing; `None` if it may be.
    required: Option<&'static str>,
}

/// A field that may be missing.
pub(crate) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: None }
}

/// A field that must be there, and what to do if it is not.
pub(crate) const fn required(name: &'static str, kind: Kind, hint: &'static str) -> Field {
    Field { name, kind, required: Some(hint) }
}

pub(crate) const U16: Kind = Kind::Int(0, u16::MAX as i128);
pub(crate) const U32: Kind = Kind::Int(0, u32::MAX as i128);
pub(crate) const U64: Kind = Kind::Int(0, u64::MAX as i128);
pub(crate) const I64: Kind = Kind::Int(i64::MIN as i128, i64::MAX as i128);
/// A user or group ID. 4294967295 is -1 to the kernel: "no ID".
pub(crate) const ID: Kind = Kind::Int(0, u32::MAX as i128 - 1);

/// The rule of an object whose members do not depend on each other.
pub(crate) fn free_object(_: &mut Report, _: &At<'_>, _: &mut Map<'_>) {}
/// The rule of a list whose items do not depend on each other.
pub(crate) fn free_list(_: &mut Report, _: &At<'_>, _: &[Value<'_>]) {}

impl Kind {
    /// Reports what is wrong with `value` and normalises it.
    pub(crate) fn check(&'static self, report: &mut Report, at: &At<'_>, value: &mut Value<'_>) {
        match (self, value) {
            (Kind::Bool, Value::Bool(_)) => {}
            (Kind::Int(min, max), Value::Number(number))
                if number.as_i128().is_some_and(|number| (*min..=*max).contains(&number)) => {}
            // NUL is an escape in JSON, and a text with an escape is not borrowed.
            (Kind::Text(rule), Value::String(Cow::Borrowed(text))) => {
                check_rule(report, at, text, *rule);
            }
            (Kind::Text(rule), Value::String(text)) => check_text(report, at, text, *rule),
            (Kind::OneOf(names), Value::String(text)) if names.contains(&&**text) => {}
            (Kind::List(kind, rule), Value::Array(list)) => {
                for (index, item) in list.iter_mut().enumerate() {
                    kind.check(report, &at.index(index), item);
                }
                rule(report, at, list);
            }
            (Kind::Map(rule, kind), Value::Object(map)) => {
                for (key, value) in map.iter_mut() {
                    let at = at.key(key);
                    check_text(report, &at, key, *rule);
                    kind.check(report, &at, value);
                }
            }
            (Kind::Object(object), Value::Object(map)) => object.check(report, at, map),
            (kind, value) => report.error(at, kind.mismatch(value)),
        }
    }

    /// Whether `value` in an optional field of this kind means that the field is missing.
    fn is_absent(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (_, Value::Null) => true,
            (Kind::Text(_) | Kind::OneOf(_), Value::String(text)) => text.is_empty(),
            (Kind::Foreign, Value::Object(map)) => map.is_empty(),
            _ => false,
        }
    }

    fn mismatch(&self, value: &Value<'_>) -> Fault {
        let names;
        let expected = match self {
            Kind::Bool => "true or false",
            Kind::Int(min, max) => {
                names = format!("an integer from {min} to {max}");
                &names
            }
            Kind::Text(_) => "a string",
            Kind::OneOf(known) => {
                names = format!("one of {}", known.join(", "));
                let fault = Fault::found(value, &names);
                return fault.nearest(value.as_str().unwrap_or_default(), known.iter().copied());
            }
            Kind::List(..) => "an array",
            Kind::Map(..) | Kind::Object(_) => "an object",
            Kind::Foreign => return Fault::new("is not supported on Linux").hint("remove it"),
        };
        Fault::found(value, expected)
    }
}

impl Object {
    fn check(&'static self, report: &mut Report, at: &At<'_>, map: &mut Map<'_>) {
        map.retain(|key, value| self.check_member(report, at, key, value));
        for field in self.fields {
            if let Some(hint) = field.required
                && !map.contains(field.name)
            {
                report.error(&at.key(field.name), Fault::new("is required").hint(hint));
            }
        }
        (self.rule)(report, at, map);
    }

    /// Checks one member; false if it is to be taken out.
    fn check_member(
        &'static self,
        report: &mut Report,
        at: &At<'_>,
        key: &str,
        value: &mut Value<'_>,
    ) -> bool {
        let at = at.key(key);
        let Some(field) = self.fields.iter().find(|field| field.name == key) else {
            let fault = Fault::new("is not a known field and is ignored");
            report.warn(&at, fault.nearest(key, self.fields.iter().map(|field| field.name)));
            return false;
        };
        if field.kind.is_absent(value) && (field.required.is_none() || *value == Value::Null) {
            return false;
        }
        field.kind.check(report, &at, value);
        true
    }
}

fn check_text(report: &mut Report, at: &At<'_>, text: &str, rule: fn(&str) -> Verdict) {
    // The kernel ends a text at the first NUL: what was checked would not be what is used.
    if text.as_bytes().contains(&0) {
        report.error(at, Fault::found_text(text, "a text without NUL bytes"));
    } else {
        check_rule(report, at, text, rule);
    }
}

fn check_rule(report: &mut Report, at: &At<'_>, text: &str, rule: fn(&str) -> Verdict) {
    if let Err(fault) = rule(text) {
        report.error(at, fault);
    }
}

/// The object `key` of `map`.
pub(crate) fn object<'m, 'a>(map: &'m Map<'a>, key: &str) -> Option<&'m Map<'a>> {
    map.get(key)?.as_object()
}

/// The list `key` of `map`; empty if there is none.
pub(crate) fn list<'m, 'a>(map: &'m Map<'a>, key: &str) -> &'m [Value<'a>] {
    map.get(key).and_then(Value::as_array).unwrap_or(&[])
}

/// The text `key` of `map`.
pub(crate) fn text<'m>(map: &'m Map<'_>, key: &str) -> Option<&'m str> {
    map.get(key)?.as_str()
}

/// The integer `key` of `map`.
pub(crate) fn int(map: &Map<'_>, key: &str) -> Option<i128> {
    map.get(key)?.as_int()
}

/// Reports each object of `items` whose text `key` an earlier one has too.
pub(crate) fn unique(report: &mut Report, at: &At<'_>, items: &[Value<'_>], key: &str) {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(name) = item.as_object().and_then(|item| text(item, key))
            && !seen.insert(name)
        {
            let fault = Fault::new(format!("{} is listed twice", shown_text(name)));
            report.error(&at.index(index).key(key), fault.hint("remove one"));
        }
    }
}
