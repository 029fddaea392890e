//! Properties of the unit that annotations ask for, as `org.systemd.property.TimeoutStopUSec`.
//!
//! Their values are written as GVariant text: <https://docs.gtk.org/glib/gvariant-text-format.html>. Which
//! properties systemd lets a transient unit have it decides itself; those that would have it do something
//! outside of the container, as to run a program or to reboot, are refused here.

use std::collections::BTreeMap;

use super::dbus::Value;
use crate::{Error, Result};

const PREFIX: &str = "org.systemd.property.";

/// The properties in `annotations`.
pub(super) fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<(String, Value)>> {
    let entries = annotations.iter();
    let ours = entries.filter_map(|(key, text)| Some((key.strip_prefix(PREFIX)?, key, text)));
    let property = |(name, key, text): (&str, &String, &String)| {
        let invalid = |reason| Error::InvalidValue {
            setting: "systemd property",
            value: format!("{key} = {text}"),
            reason,
        };
        check_name(name).map_err(invalid)?;
        let value = parse(text).ok_or_else(|| {
            invalid(
                "is no GVariant text of a type known here, as 'text', 5, uint64 5, true or ['a']",
            )
        })?;
        // systemd's files have seconds where its bus has microseconds.
        match name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) {
            None => Ok((name.to_owned(), value)),
            Some(stem) => {
                let value =
                    microseconds(&value).ok_or_else(|| invalid("must be a number of seconds"))?;
                Ok((format!("{stem}USec"), Value::U64(value)))
            }
        }
    };
    ours.map(property).collect()
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("names no property");
    }
    let acts = ["Exec", "OnFailure", "OnSuccess"].iter().any(|start| name.starts_with(start));
    if acts || name.ends_with("Action") {
        return Err("would have systemd do something outside of the container");
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the float is checked to be in the range that a whole number of microseconds has"
)]
fn microseconds(value: &Value) -> Option<u64> {
    const SECOND: u64 = 1_000_000;
    match value {
        Value::I32(number) => u64::try_from(*number).ok()?.checked_mul(SECOND),
        Value::U32(number) => u64::from(*number).checked_mul(SECOND),
        Value::I64(number) => u64::try_from(*number).ok()?.checked_mul(SECOND),
        Value::U64(number) => number.checked_mul(SECOND),
        Value::F64(number) if (0.0..1e12).contains(number) => Some((number * 1e6) as u64),
        _ => None,
    }
}

/// A value in GVariant text: a boolean, a number with or without its type, a string, a list of these.
fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Some(items) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let items = list(items)?.iter().map(|item| parse(item)).collect::<Option<Vec<_>>>()?;
        let signature = items.first().map_or("s".to_owned(), Value::signature);
        let alike = items.iter().all(|item| item.signature() == signature);
        return alike.then_some(Value::Array(signature, items));
    }
    if let Some((kind, number)) = text.split_once(' ') {
        return typed(kind, number.trim());
    }
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if text.starts_with(['\'', '"']) => string(text).map(Value::Str),
        _ => text.parse().map(Value::I32).or_else(|_| text.parse().map(Value::F64)).ok(),
    }
}

/// A value after the name of its type. A string has spaces of its own.
fn typed(kind: &str, text: &str) -> Option<Value> {
    match kind {
        "boolean" => text.parse().ok().map(Value::Bool),
        "byte" => text.parse().ok().map(Value::Byte),
        "int32" => text.parse().ok().map(Value::I32),
        "uint32" => text.parse().ok().map(Value::U32),
        "int64" => text.parse().ok().map(Value::I64),
        "uint64" => text.parse().ok().map(Value::U64),
        "double" => text.parse().ok().map(Value::F64),
        "objectpath" => string(text).map(Value::Path),
        _ => string(&format!("{kind} {text}")).map(Value::Str),
    }
}

/// A string in quotes of either kind, with backslashes before what would end it.
fn string(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut plain = String::new();
    let mut chars = inside.chars();
    while let Some(next) = chars.next() {
        match next {
            '\\' => plain.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            end if end == quote => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// The items of a list, which are separated by commas outside of quotes.
fn list(text: &str) -> Option<Vec<String>> {
    let mut items = vec![String::new()];
    let mut quote = None;
    let mut escaped = false;
    for next in text.chars() {
        match (next, quote) {
            (',', None) => {
                items.push(String::new());
                continue;
            }
            ('\'' | '"', None) => quote = Some(next),
            (end, Some(open)) if end == open && !escaped => quote = None,
            _ => {}
        }
        escaped = next == '\\' && !escaped;
        items.last_mut()?.push(next);
    }
    items.retain(|item| !item.trim().is_empty());
    quote.is_none().then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_values() {
        assert_eq!(parse("true"), Some(Value::Bool(true)));
        assert_eq!(parse("'inactive-or-failed'"), Some(Value::str("inactive-or-failed")));
        assert_eq!(parse("\"a b\""), Some(Value::str("a b")));
        assert_eq!(parse("'it\\'s'"), Some(Value::str("it's")));
        assert_eq!(parse("5"), Some(Value::I32(5)));
        assert_eq!(parse("uint64 5"), Some(Value::U64(5)));
        assert_eq!(parse("0.5"), Some(Value::F64(0.5)));
        assert_eq!(parse("['a, b', 'c']"), Some(Value::strings(["a, b", "c"])));
        for wrong in ["", "text", "'open", "'a'b'", "['a', 5]", "uint64 x", "[", "'\\"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn annotations_become_properties() {
        let annotations = |key: &str, value: &str| {
            properties(&BTreeMap::from([(format!("{PREFIX}{key}"), value.to_owned())]))
        };
        let found = annotations("TimeoutStopSec", "1.5").unwrap();
        assert_eq!(found, [("TimeoutStopUSec".to_owned(), Value::U64(1_500_000))]);
        let found = annotations("TimeoutStopUSec", "uint64 7").unwrap();
        assert_eq!(found, [("TimeoutStopUSec".to_owned(), Value::U64(7))]);
        for (key, value) in [
            ("ExecStopPost", "'x'"),
            ("", "1"),
            ("A B", "1"),
            ("X", "?"),
            ("ASec", "'x'"),
            ("ASec", "-1"),
        ] {
            assert!(annotations(key, value).is_err(), "{key} {value}");
        }
        let others = BTreeMap::from([("org.example".to_owned(), "x".to_owned())]);
        assert_eq!(properties(&others).unwrap(), []);
    }
}
