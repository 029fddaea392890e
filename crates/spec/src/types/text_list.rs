//! Many short texts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

/// A list of texts in two pieces of memory, however many they are: a seccomp profile names hundreds of calls.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TextList {
    /// All of them, one after the other.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl TextList {
    /// The texts, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }
}

impl<T: AsRef<str>> FromIterator<T> for TextList {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut list = Self::default();
        texts.into_iter().for_each(|text| list.push(text.as_ref()));
        list
    }
}

impl fmt::Debug for TextList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for TextList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.ends.len()))?;
        self.iter().try_for_each(|text| list.serialize_element(text))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for TextList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = TextList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<TextList, A::Error> {
                let mut list = TextList::default();
                while texts.next_element_seed(Next(&mut list))?.is_some() {}
                Ok(list)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// Reads one more.
struct Next<'list>(&'list mut TextList);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_what_was_read() {
        let texts = ["read", "", "wr\u{e9}", "exit"];
        let json = serde_json::to_string(&texts).unwrap();
        let list: TextList = serde_json::from_str(&json).unwrap();
        assert!(list.iter().eq(texts) && !list.is_empty());
        assert_eq!(serde_json::to_string(&list).unwrap(), json);
        assert_eq!(list, texts.iter().collect());
        assert_ne!(list, ["read", "wr\u{e9}", "", "exit"].iter().collect());
        assert_eq!(format!("{list:?}"), format!("{texts:?}"));
        assert!(serde_json::from_str::<TextList>("[1]").is_err());
    }
}
