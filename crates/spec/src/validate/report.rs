//! Where a check is in the document, and what it found there.

use std::borrow::Cow;

use crate::json::Value;

use crate::Violation;

/// More findings than this are counted, not kept: nobody reads them, and a hostile document must not
/// make them fill the memory.
const KEPT: usize = 200;
/// Characters of a key or of a text that a message shows.
const SHOWN: usize = 100;

/// A place in the document: a list of steps on the stack, so that a check which finds nothing allocates
/// nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Document,
    Key(&'a str),
    Index(usize),
}

impl At<'static> {
    pub(crate) const DOCUMENT: Self = At { parent: None, step: Step::Document };
}

impl At<'_> {
    pub(crate) fn key<'b>(&'b self, key: &'b str) -> At<'b> {
        At { parent: Some(self), step: Step::Key(key) }
    }

    pub(crate) fn index(&self, index: usize) -> At<'_> {
        At { parent: Some(self), step: Step::Index(index) }
    }

    /// The place as a JSON pointer (RFC 6901).
    fn pointer(&self) -> String {
        let mut pointer = self.parent.map(At::pointer).unwrap_or_default();
        match self.step {
            Step::Document => {}
            Step::Key(key) => {
                pointer.push('/');
                let (beginning, rest) = cut(key);
                pointer.push_str(&beginning.replace('~', "~0").replace('/', "~1"));
                pointer.push_str(rest);
            }
            Step::Index(index) => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
        }
        pointer
    }
}

/// What is wrong with a value: the text of a violation that has no place yet.
#[derive(Debug)]
pub(crate) struct Fault {
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// A value that is not what it should be.
    pub(crate) fn found(value: &Value<'_>, expected: &str) -> Self {
        Self::new(format!("found {}, expected {expected}", shown(value)))
    }

    /// A text that is not what it should be.
    pub(crate) fn found_text(text: &str, expected: &str) -> Self {
        Self::new(format!("found {}, expected {expected}", shown_text(text)))
    }

    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the nearest of `known` to what was found, if any is near.
    pub(crate) fn nearest<'a>(self, found: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match super::nearest::nearest(found, known) {
            Some(name) => self.hint(format!("did you mean {name:?}?")),
            None => self,
        }
    }
}

/// What the checks found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: Findings,
    warnings: Findings,
}

#[derive(Debug, Default)]
struct Findings {
    kept: Vec<Violation>,
    more: usize,
}

impl Report {
    /// Something that must be changed before the container can run.
    pub(crate) fn error(&mut self, at: &At<'_>, fault: Fault) {
        self.errors.add(at, fault);
    }

    /// Something that is probably not what the author meant.
    pub(crate) fn warn(&mut self, at: &At<'_>, fault: Fault) {
        self.warnings.add(at, fault);
    }

    /// The errors and the warnings.
    pub(crate) fn finish(self) -> (Vec<Violation>, Vec<Violation>) {
        (self.errors.finish(), self.warnings.finish())
    }
}

impl Findings {
    fn add(&mut self, at: &At<'_>, fault: Fault) {
        if self.kept.len() == KEPT {
            self.more += 1;
            return;
        }
        let Fault { message, hint } = fault;
        self.kept.push(Violation { pointer: at.pointer(), message: message.into_owned(), hint });
    }

    fn finish(mut self) -> Vec<Violation> {
        if self.more > 0 {
            let message = format!("{} more like these", self.more);
            self.kept.push(Violation { pointer: String::new(), message, hint: None });
        }
        self.kept
    }
}

/// A value as a message shows it.
fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) => shown_text(text),
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
    }
}

/// A text as a message shows it: quoted, without control characters, cut short.
pub(crate) fn shown_text(text: &str) -> String {
    let (beginning, rest) = cut(text);
    format!("{beginning:?}{rest}")
}

/// The beginning of `text` that is worth showing, and an ellipsis if that is not all of it.
fn cut(text: &str) -> (&str, &'static str) {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_as_rfc_6901_says() {
        let document = At::DOCUMENT;
        let annotations = document.key("annotations");
        assert_eq!(annotations.key("a/b~c").pointer(), "/annotations/a~1b~0c");
        assert_eq!(annotations.index(3).pointer(), "/annotations/3");
        assert_eq!(document.pointer(), "");
    }

    #[test]
    fn long_keys_and_long_lists_are_cut() {
        let document = At::DOCUMENT;
        assert_eq!(document.key(&"é".repeat(1000)).pointer().chars().count(), SHOWN + 2);

        let mut report = Report::default();
        for index in 0..KEPT + 7 {
            report.error(&document.index(index), Fault::new("x"));
        }
        let (errors, _) = report.finish();
        assert_eq!(errors.len(), KEPT + 1);
        assert_eq!(errors[KEPT].to_string(), "(document): 7 more like these");
    }
}
