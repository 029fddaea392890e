//! Fields that the specification knows and this runtime does not act on yet.

use crate::json::Value;

use crate::validate::{At, Fault, Report};

/// What [`Bundle::load`](crate::Bundle::load) refuses because nothing would act on it: a container must
/// not start without something that was asked for.
///
/// Each entry is a JSON pointer in which `*` stands for every item or member. With `=TEXT` at its end
/// it means that text only, or one that goes on with `=`, as a mount option with a value does. `null`
/// and empty values do not count as asked for.
pub const UNSUPPORTED: &[&str] = &[
    "/linux/mountLabel",
    "/mounts/*/gidMappings",
    "/mounts/*/options/*=idmap",
    "/mounts/*/options/*=ridmap",
    "/mounts/*/uidMappings",
];

/// Reports what `document` asks for of [`UNSUPPORTED`].
pub(crate) fn check(report: &mut Report, document: &Value<'_>) {
    for pattern in UNSUPPORTED {
        let (pointer, text) = match pattern.split_once('=') {
            Some((pointer, text)) => (pointer, Some(text)),
            None => (*pattern, None),
        };
        Search { report, text }.walk(&At::DOCUMENT, pointer, document);
    }
}

struct Search<'a> {
    report: &'a mut Report,
    text: Option<&'static str>,
}

impl Search<'_> {
    /// Follows `pointer` from `value`, which is at `at`.
    fn walk(&mut self, at: &At<'_>, pointer: &str, value: &Value<'_>) {
        let Some(pointer) = pointer.strip_prefix('/') else {
            return self.arrive(at, value);
        };
        let (key, rest) = pointer.split_at(pointer.find('/').unwrap_or(pointer.len()));
        match value {
            Value::Object(map) if key == "*" => {
                for (key, value) in map.iter() {
                    self.walk(&at.key(key), rest, value);
                }
            }
            Value::Object(map) => {
                if let Some(value) = map.get(key) {
                    self.walk(&at.key(key), rest, value);
                }
            }
            Value::Array(list) if key == "*" => {
                for (index, item) in list.iter().enumerate() {
                    self.walk(&at.index(index), rest, item);
                }
            }
            _ => {}
        }
    }

    fn arrive(&mut self, at: &At<'_>, value: &Value<'_>) {
        let Some(text) = self.text else {
            if !is_empty(value) {
                self.report.error(at, Fault::new("is not supported yet"));
            }
            return;
        };
        let rest = value.as_str().and_then(|value| value.strip_prefix(text));
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('=')) {
            self.report.error(at, Fault::new(format!("{text} is not supported yet")));
        }
    }
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
