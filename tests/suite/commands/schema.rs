//! As much of JSON Schema as the schemas of the runtime specification need.

use anyhow::{Context as _, bail};
use coracle_testkit::{Result, check};
use serde_json::Value;

const FILES: [(&str, &str); 4] = [
    ("features-schema.json", include_str!("schema/features-schema.json")),
    ("features-linux.json", include_str!("schema/features-linux.json")),
    ("defs.json", include_str!("schema/defs.json")),
    ("defs-linux.json", include_str!("schema/defs-linux.json")),
];

/// A schema and the file that its references are relative to.
#[derive(Clone)]
struct Schema {
    file: &'static str,
    value: Value,
}

impl Schema {
    fn load(file: &str, pointer: &str) -> Result<Self> {
        let found = FILES.iter().find(|(name, _)| *name == file);
        let (file, text) = *found.with_context(|| format!("there is no schema {file}"))?;
        let all: Value = serde_json::from_str(text)?;
        let value = all.pointer(pointer).with_context(|| format!("no {pointer} in {file}"))?;
        Ok(Self { file, value: value.clone() })
    }

    fn below(&self, value: &Value) -> Self {
        Self { file: self.file, value: value.clone() }
    }

    fn referred(&self, reference: &str) -> Result<Self> {
        let (file, pointer) = reference.split_once('#').context("a reference without #")?;
        Self::load(if file.is_empty() { self.file } else { file }, pointer)
    }

    /// Fails unless `document`, which is at `at`, is valid; notes the keys that the schema says nothing of.
    fn check(&self, document: &Value, at: &str, unknown: &mut Vec<String>) -> Result<()> {
        let keywords = self.value.as_object().context("a schema that is no object")?;
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "description" | "$schema" => {}
                "$ref" => {
                    let reference = rule.as_str().context("a reference")?;
                    self.referred(reference)?.check(document, at, unknown)?;
                }
                "type" => check!(is_a(document, rule), "{at}: {document} is no {rule}"),
                "enum" => {
                    let allowed = rule.as_array().is_some_and(|all| all.contains(document));
                    check!(allowed, "{at}: {document} is none of {rule}");
                }
                "pattern" => check!(matches(document, rule)?, "{at}: {document} is not {rule}"),
                "required" => {
                    for key in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                        check!(document.get(key).is_some(), "{at}/{key} is missing");
                    }
                }
                "properties" => self.check_fields(rule, document, at, unknown)?,
                "patternProperties" => {
                    let any = self.below(&rule[".{1,}"]);
                    for (key, value) in document.as_object().into_iter().flatten() {
                        any.check(value, &format!("{at}/{key}"), unknown)?;
                    }
                }
                "items" => {
                    for (index, item) in document.as_array().into_iter().flatten().enumerate() {
                        self.below(rule).check(item, &format!("{at}/{index}"), unknown)?;
                    }
                }
                other => bail!("the keyword {other:?} is not known here"),
            }
        }
        Ok(())
    }

    fn check_fields(
        &self,
        fields: &Value,
        document: &Value,
        at: &str,
        unknown: &mut Vec<String>,
    ) -> Result<()> {
        for (key, value) in document.as_object().into_iter().flatten() {
            let at = format!("{at}/{key}");
            match fields.get(key) {
                Some(field) => self.below(field).check(value, &at, unknown)?,
                None => unknown.push(at),
            }
        }
        Ok(())
    }
}

fn is_a(document: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("object") => document.is_object(),
        Some("array") => document.is_array(),
        Some("string") => document.is_string(),
        Some("boolean") => document.is_boolean(),
        _ => false,
    }
}

fn matches(document: &Value, pattern: &Value) -> Result<bool> {
    if pattern != "^CAP_[A-Z_]+$" {
        bail!("the pattern {pattern} is not known here");
    }
    let name = document.as_str().and_then(|text| text.strip_prefix("CAP_")).unwrap_or_default();
    Ok(!name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// Fails unless `document` is a valid features document; returns the keys that are not in the schema.
pub fn check_features(document: &Value) -> Result<Vec<String>> {
    let mut unknown = Vec::new();
    Schema::load("features-schema.json", "")?.check(document, "", &mut unknown)?;
    Ok(unknown)
}
