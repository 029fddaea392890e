//! From text to a checked, typed specification.

use std::path::Path;

use serde::Deserialize;

use crate::json::{Map, Value};
use crate::types::{Mount, Process, Resources};
use crate::validate::{self, Report};
use crate::{Error, Result, Spec, Violation, json};

/// A configuration that passed every check.
///
/// One that is already typed in another way, as `oci_spec::runtime::Spec`, is serialized and given to
/// [`LoadedSpec::from_slice`]: no configuration goes unchecked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadedSpec {
    /// The typed document. Where the runtime specification lets a value be missing, `null` or empty and
    /// these mean the same, it is missing here; what a warning says is ignored is not in it.
    pub spec: Spec,
    /// What is odd but does not stop a container, for the log.
    pub warnings: Vec<Violation>,
}

impl LoadedSpec {
    /// Checks and types the document in `json`, which messages call `config.json`.
    ///
    /// # Errors
    ///
    /// [`Error::NotJson`] and [`Error::Invalid`].
    pub fn from_slice(json: &[u8]) -> Result<Self> {
        Self::parse(json, Path::new("config.json"))
    }

    /// The same for a document that messages call `path`.
    ///
    /// # Errors
    ///
    /// [`Error::NotJson`] and [`Error::Invalid`].
    pub fn parse(json: &[u8], path: &Path) -> Result<Self> {
        let mut document = parse(json, path)?;
        let mut report = Report::default();
        validate::document(&mut report, &mut document);
        let warnings = warnings_of(report, path)?;
        Ok(Self { spec: Spec::deserialize(document).map_err(not_understood(path))?, warnings })
    }
}

/// A process that is to join a container: what stands at `/process` of a configuration, in a document of
/// its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadedProcess {
    /// The typed document.
    pub process: Process,
    /// What is odd but does not stop a process, for the log.
    pub warnings: Vec<Violation>,
}

impl LoadedProcess {
    /// Checks and types the document in `json`, which messages call `path`. In them, pointers begin with
    /// `/process`, as in a configuration.
    ///
    /// # Errors
    ///
    /// [`Error::NotJson`] and [`Error::Invalid`].
    pub fn parse(json: &[u8], path: &Path) -> Result<Self> {
        let mut document = Map::of("process", parse(json, path)?);
        let mut report = Report::default();
        if let Some(process) = document.get_mut("process") {
            validate::lone_process(&mut report, process);
        }
        let document = Value::Object(document);
        let warnings = warnings_of(report, path)?;
        let spec = Spec::deserialize(document).map_err(not_understood(path))?;
        Ok(Self { process: spec.process, warnings })
    }
}

/// Mounts for a container that is there: what stands at `/mounts` of a configuration, in a document of its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadedMounts {
    /// The typed document.
    pub mounts: Vec<Mount>,
    /// What is odd but does not matter, for the log.
    pub warnings: Vec<Violation>,
}

impl LoadedMounts {
    /// Checks and types the list in `json`, which messages call `path`. In them, pointers begin with `/mounts`,
    /// as in a configuration.
    ///
    /// # Errors
    ///
    /// [`Error::NotJson`] and [`Error::Invalid`].
    pub fn parse(json: &[u8], path: &Path) -> Result<Self> {
        let mut mounts = parse(json, path)?;
        let mut report = Report::default();
        validate::lone_mounts(&mut report, &mut mounts);
        let document = Value::Object(Map::of("mounts", mounts));
        let warnings = warnings_of(report, path)?;
        let spec = Spec::deserialize(document).map_err(not_understood(path))?;
        Ok(Self { mounts: spec.mounts, warnings })
    }
}

/// Limits for a container that is there: what stands at `/linux/resources` of a configuration, in a document
/// of its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadedResources {
    /// The typed document.
    pub resources: Resources,
    /// What is odd but does not matter, for the log.
    pub warnings: Vec<Violation>,
}

impl LoadedResources {
    /// Checks and types the document in `json`, which messages call `path`. In them, pointers begin with
    /// `/linux/resources`, as in a configuration.
    ///
    /// # Errors
    ///
    /// [`Error::NotJson`] and [`Error::Invalid`].
    pub fn parse(json: &[u8], path: &Path) -> Result<Self> {
        let mut resources = parse(json, path)?;
        let mut report = Report::default();
        validate::lone_resources(&mut report, &mut resources);
        let linux = Value::Object(Map::of("resources", resources));
        let document = Value::Object(Map::of("linux", linux));
        let warnings = warnings_of(report, path)?;
        let spec = Spec::deserialize(document).map_err(not_understood(path))?;
        Ok(Self { resources: spec.linux.resources, warnings })
    }
}

fn parse<'a>(json: &'a [u8], path: &Path) -> Result<Value<'a>> {
    json::parse(json).map_err(|source| Error::NotJson { path: path.to_owned(), source })
}

/// The warnings, if there are no errors.
fn warnings_of(report: Report, path: &Path) -> Result<Vec<Violation>> {
    match report.finish() {
        (errors, warnings) if errors.is_empty() => Ok(warnings),
        (errors, _) => Err(Error::Invalid { path: path.to_owned(), violations: errors }),
    }
}

/// The tables are stricter than the types (a test holds them to that); should one ever be too lax, the user
/// still gets an error and not a panic.
fn not_understood<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Error {
    move |error| Error::Invalid {
        path: path.to_owned(),
        violations: vec![Violation {
            pointer: String::new(),
            message: format!("is not understood: {error}"),
            hint: None,
        }],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const EVERYTHING: &str = include_str!("../tests/fixtures/everything.json");

    /// Checks and types: the errors of the checks, or the typed document.
    fn typed(
        document: &Value,
    ) -> Result<Result<Spec, impl std::error::Error + use<>>, Vec<Violation>> {
        let text = document.to_string();
        let mut document = json::parse(text.as_bytes()).unwrap();
        let mut report = Report::default();
        validate::document(&mut report, &mut document);
        match report.finish() {
            (errors, _) if errors.is_empty() => Ok(Spec::deserialize(document)),
            (errors, _) => Err(errors),
        }
    }

    fn everything() -> Value {
        serde_json::from_str(EVERYTHING).unwrap()
    }

    /// The pointers of every value in `value`.
    fn pointers(value: &Value, at: String, all: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    pointers(value, format!("{at}/{key}"), all);
                }
            }
            Value::Array(list) => {
                // The first two and the last stand for the rest.
                let last = list.len().saturating_sub(1);
                for (index, value) in list.iter().enumerate().filter(|(i, _)| *i < 2 || *i == last)
                {
                    pointers(value, format!("{at}/{index}"), all);
                }
            }
            _ => {}
        }
        all.push(at);
    }

    /// Values at the edges of what tables and types allow.
    fn odd_values() -> Vec<Value> {
        vec![
            Value::Null,
            json!(true),
            json!(0),
            json!(-1),
            json!(1),
            json!(511),
            json!(70_000),
            json!(u32::MAX - 1),
            json!(u32::MAX),
            json!(u64::from(u32::MAX) + 1),
            json!(i64::MIN),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(0.5),
            json!(1e300),
            json!(""),
            json!(" "),
            json!("a"),
            json!("/"),
            json!("/a=b"),
            json!("0-3, 7"),
            json!("1\u{0}"),
            json!("SCMP_ACT_ALLOW"),
            json!("pid"),
            json!("p"),
            json!([]),
            json!([null]),
            json!(["CAP_KILL"]),
            json!(["/x"]),
            json!([{}]),
            json!({}),
            json!({"a": "b"}),
            json!({"a": {}}),
            json!({"type": "pid"}),
        ]
    }

    #[test]
    fn every_field_of_the_specification_is_known_and_typed() {
        let mut document = json::parse(EVERYTHING.as_bytes()).unwrap();
        let mut report = Report::default();
        validate::document(&mut report, &mut document);
        let (errors, warnings) = report.finish();
        assert_eq!(errors, []);

        let warned: Vec<_> = warnings.iter().map(|warning| warning.pointer.as_str()).collect();
        assert_eq!(
            warned,
            [
                "/mounts/1/destination",
                "/process/capabilities/permitted/2",
                "/process/capabilities/permitted/3",
                "/process/user/username",
                "/process/commandLine",
                "/linux/personality/flags",
            ]
        );
        let spec = Spec::deserialize(document).unwrap();
        assert_eq!(spec.linux.resources.devices[1].major, None);
        assert_eq!(spec.linux.seccomp.unwrap().architectures.len(), 24);
    }

    #[test]
    fn what_passes_is_typed_whatever_one_value_is() {
        let mut all = Vec::new();
        let everything = everything();
        pointers(&everything, String::new(), &mut all);
        for pointer in &all {
            for value in odd_values() {
                let mut document = everything.clone();
                *document.pointer_mut(pointer).unwrap() = value.clone();
                if let Ok(Err(error)) = typed(&document) {
                    panic!("{pointer} = {value}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_passes_is_typed_whatever_is_missing() {
        let mut all = Vec::new();
        pointers(&everything(), String::new(), &mut all);
        for pointer in &all {
            let mut document = everything();
            let Some((parent, key)) = pointer.rsplit_once('/') else { continue };
            match document.pointer_mut(parent).unwrap() {
                Value::Object(map) => drop(map.remove(&key.replace("~1", "/"))),
                Value::Array(list) => drop(list.remove(key.parse().unwrap())),
                _ => unreachable!(),
            }
            if let Ok(Err(error)) = typed(&document) {
                panic!("{pointer} removed: {error}");
            }
        }
    }

    /// One change of a document: put `value`, or a copy of what is at `from`, at `to`, or under a new
    /// key of it.
    #[derive(Debug, Clone)]
    struct Mutation {
        to: prop::sample::Index,
        from: Option<prop::sample::Index>,
        value: Value,
        key: Option<String>,
    }

    fn mutation() -> impl Strategy<Value = Mutation> {
        (
            any::<prop::sample::Index>(),
            any::<Option<prop::sample::Index>>(),
            prop::sample::select(odd_values()),
            prop::option::weighted(0.3, "[a-zA-Z~/]{0,8}|uidMappings|type|path"),
        )
            .prop_map(|(to, from, value, key)| Mutation { to, from, value, key })
    }

    fn mutate(document: &mut Value, mutation: &Mutation) {
        let mut all = Vec::new();
        pointers(document, String::new(), &mut all);
        let value = match &mutation.from {
            Some(from) => document.pointer(&all[from.index(all.len())]).unwrap().clone(),
            None => mutation.value.clone(),
        };
        let target = document.pointer_mut(&all[mutation.to.index(all.len())]).unwrap();
        match (target, &mutation.key) {
            (Value::Object(map), Some(key)) => drop(map.insert(key.clone(), value)),
            (Value::Array(list), Some(_)) => list.push(value),
            (target, _) => *target = value,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_passes_is_typed(mutations in prop::collection::vec(mutation(), 1..6)) {
            let mut document = everything();
            for mutation in &mutations {
                mutate(&mut document, mutation);
            }
            if let Ok(typed) = typed(&document) {
                prop_assert!(typed.is_ok(), "{:?}", typed);
            }
        }

        #[test]
        fn no_text_makes_it_panic(
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut text = EVERYTHING.as_bytes().to_vec();
            for (index, byte) in cuts {
                let index = index.index(text.len());
                text[index] = byte;
            }
            drop(LoadedSpec::from_slice(&text));
        }
    }
}
