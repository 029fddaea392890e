//! A JSON document that borrows from its text.
//!
//! Most of a configuration is text (a seccomp profile names some 400 system calls), and most of it only
//! has to be looked at: this document copies a text only where an escape or a change needs it, and
//! hands its own to the typed document at the end. That halves the allocations of a load.

mod de;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// Objects with more members are searched for repeated keys by sorting.
const FEW: usize = 32;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Map<'a>),
}

/// The members of a JSON object, in the order of the text. Meant for few members: to find one is to go
/// through them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Map<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Parses `text`, which must be one JSON value without repeated keys.
///
/// Parsers differ in what a repeated key means: the first, the last, or both merged. A document that a
/// policy checker reads otherwise than the runtime is a way around the policy, so it is refused.
///
/// # Errors
///
/// The position of what is not JSON, or of the end of an object with a repeated key.
pub(crate) fn parse(text: &[u8]) -> serde_json::Result<Value<'_>> {
    match std::str::from_utf8(text) {
        // Checked at once, not for each of its texts again.
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(text),
    }
}

impl<'a> Value<'a> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Value::Number(number) => number.as_i128(),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Value<'a>]> {
        match self {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Map<'a>> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }
}

impl<'a> Map<'a> {
    /// An object with one member.
    pub(crate) fn of(key: &'a str, value: Value<'a>) -> Self {
        Self(vec![(Cow::Borrowed(key), value)])
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Value<'a>> {
        self.iter_mut().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value<'a>)> {
        self.0.iter_mut().map(|(key, value)| (&**key, value))
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value<'a>) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    /// A key that is there twice.
    fn repeated(&self) -> Option<&str> {
        let keys = || self.iter().map(|(key, _)| key);
        if self.0.len() <= FEW {
            return keys()
                .enumerate()
                .find(|(i, key)| keys().take(*i).any(|it| it == *key))
                .map(|(_, key)| key);
        }
        let mut sorted: Vec<_> = keys().collect();
        sorted.sort_unstable();
        sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// A member's name; unlike that of `Cow`, its `Deserialize` borrows.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reader)? {
            Value::String(text) => Ok(Key(text)),
            _ => Err(D::Error::custom("a key is a string")),
        }
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'de>, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is too large"))?;
        Ok(Value::Number(number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let mut map = Map::default();
        while let Some((Key(key), value)) = members.next_entry()? {
            map.0.push((key, value));
        }
        match map.repeated() {
            Some(key) => Err(A::Error::custom(format_args!("key {key:?} is given twice"))),
            None => Ok(Value::Object(map)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Owned;

    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,18446744073709551615,"x\u0000y",true,null,{}],"\"":{"a":""}}"#;
        let borrowed = parse(text.as_bytes()).unwrap();
        let owned: Owned = serde_json::from_str(text).unwrap();
        assert_eq!(Owned::deserialize(borrowed).unwrap(), owned);
        for text in ["", "{", "[1,]", "{\"a\":1}x", "nul", "01", "1e999", "\"\u{1}\""] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_repeated_keys_with_their_position() {
        let error =
            parse(b"{\n  \"root\": {\"path\": \"a\", \"p\\u0061th\": \"b\"}\n}").unwrap_err();
        assert_eq!(error.to_string(), "key \"path\" is given twice at line 2 column 41");

        let many = |last: usize| {
            let members: Vec<_> =
                (0..100_000).chain([last]).map(|i| format!("\"{i}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(parse(many(100_000).as_bytes()).is_ok());
        assert!(parse(many(500).as_bytes()).is_err());
    }

    #[test]
    fn refuses_what_is_nested_too_deeply() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
