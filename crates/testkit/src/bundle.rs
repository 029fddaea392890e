//! Bundles: what the runtime's own `spec` writes, and what a test changes in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::Result;

/// A bundle. Its `config.json` is written when a container is made of it.
#[derive(Debug, Clone)]
pub struct Bundle {
    directory: PathBuf,
    spec: Value,
}

impl Bundle {
    /// A bundle in `directory` with this specification, on no terminal.
    pub(crate) fn new(directory: PathBuf, spec: Value) -> Self {
        Self { directory, spec }.set("/process/terminal", false)
    }

    /// The bundle that somebody else has made in `directory`, on no terminal.
    pub fn open(directory: &Path) -> Result<Self> {
        let text = fs::read(directory.join("config.json"))?;
        Ok(Self::new(directory.to_owned(), serde_json::from_slice(&text)?))
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its root file system.
    pub fn rootfs(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// Its specification.
    pub fn spec(&self) -> &Value {
        &self.spec
    }

    /// The command.
    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.set("/process/args", json!(args))
    }

    /// A shell script as the command.
    #[must_use]
    pub fn script(self, script: &str) -> Self {
        self.args(&["sh", "-c", script])
    }

    /// A command that goes on until it gets SIGTERM.
    #[must_use]
    pub fn idle(self) -> Self {
        self.script("trap 'exit 143' TERM; echo ready; while :; do sleep 0.05; done")
    }

    /// Sets the field at this JSON pointer, and makes all that it is in.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        *locate(&mut self.spec, pointer) = value.into();
        self
    }

    /// Appends to the list at this JSON pointer.
    #[must_use]
    pub fn push(mut self, pointer: &str, item: impl Into<Value>) -> Self {
        let list = locate(&mut self.spec, pointer);
        match list {
            Value::Array(items) => items.push(item.into()),
            other => *other = Value::Array(vec![item.into()]),
        }
        self
    }

    /// Removes the field at this JSON pointer.
    #[must_use]
    pub fn remove(mut self, pointer: &str) -> Self {
        if let Some((parent, key)) = pointer.rsplit_once('/') {
            match self.spec.pointer_mut(parent) {
                Some(Value::Object(fields)) => drop(fields.remove(key)),
                Some(Value::Array(items)) => {
                    let index = key.parse().unwrap_or(usize::MAX);
                    if index < items.len() {
                        items.remove(index);
                    }
                }
                _ => {}
            }
        }
        self
    }

    /// Lets the container write to its root file system.
    #[must_use]
    pub fn writable(self) -> Self {
        self.set("/root/readonly", false)
    }

    /// One more mount.
    #[must_use]
    pub fn mount(self, target: &str, fstype: &str, source: &str, options: &[&str]) -> Self {
        self.push(
            "/mounts",
            json!({"destination": target, "type": fstype, "source": source, "options": options}),
        )
    }

    /// Makes a namespace new, or joins the one at `path`.
    #[must_use]
    pub fn namespace(self, kind: &str, path: Option<&str>) -> Self {
        let entry = match path {
            Some(path) => json!({"type": kind, "path": path}),
            None => json!({"type": kind}),
        };
        self.without_namespace(kind).push("/linux/namespaces", entry)
    }

    /// Leaves the container in the caller's namespace.
    #[must_use]
    pub fn without_namespace(mut self, kind: &str) -> Self {
        if let Value::Array(namespaces) = locate(&mut self.spec, "/linux/namespaces") {
            namespaces.retain(|namespace| namespace["type"] != kind);
        }
        self
    }

    /// Gives the process exactly these capabilities, in all sets but the ambient one.
    #[must_use]
    pub fn capabilities(self, names: &[&str]) -> Self {
        ["bounding", "effective", "permitted"].iter().fold(self, |bundle, set| {
            bundle.set(&format!("/process/capabilities/{set}"), json!(names))
        })
    }

    /// Writes `config.json`; if it is as it should be already, somebody may be reading it.
    pub fn write(&self) -> Result<()> {
        let path = self.directory.join("config.json");
        let text = serde_json::to_vec_pretty(&self.spec)?;
        if fs::read(&path).is_ok_and(|found| found == text) {
            return Ok(());
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The value at a JSON pointer; what is missing on the way is made.
fn locate<'spec>(spec: &'spec mut Value, pointer: &str) -> &'spec mut Value {
    pointer.split('/').skip(1).fold(spec, |value, key| {
        let key = key.replace("~1", "/").replace("~0", "~");
        match (&*value, key.parse::<usize>()) {
            (Value::Array(items), Ok(index)) => {
                let missing = (index + 1).saturating_sub(items.len());
                if let Value::Array(items) = value {
                    items.extend(std::iter::repeat_n(Value::Null, missing));
                }
                &mut value[index]
            }
            (Value::Object(_) | Value::Null, _) => &mut value[key],
            _ => {
                *value = json!({});
                &mut value[key]
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        Bundle::new("/b".into(), json!({"mounts": [{"a": 1}], "process": {"args": ["sh"]}}))
    }

    #[test]
    fn fields_are_made_changed_and_removed() {
        let bundle = bundle().set("/linux/resources/pids/limit", 3).set("/mounts/0/a", "b");
        assert_eq!(bundle.spec()["linux"]["resources"]["pids"]["limit"], 3);
        assert_eq!(bundle.spec()["mounts"], json!([{"a": "b"}]));
        let bundle = bundle.push("/mounts", json!(1)).set("/mounts/2", 2).remove("/mounts/0");
        assert_eq!(bundle.spec()["mounts"], json!([1, 2]));
        let bundle = bundle.push("/new", "x").remove("/linux/resources").remove("/no/thing");
        assert_eq!(bundle.spec()["new"], json!(["x"]));
        assert_eq!(bundle.spec()["linux"], json!({}));
        assert_eq!(bundle.set("/a/x~1y", true).spec()["a"], json!({"x/y": true}));
    }

    #[test]
    fn a_namespace_replaces_the_one_of_its_kind() {
        let bundle = bundle().namespace("pid", None).namespace("uts", None);
        let bundle = bundle.namespace("pid", Some("/x")).without_namespace("uts");
        assert_eq!(bundle.spec()["linux"]["namespaces"], json!([{"type": "pid", "path": "/x"}]));
    }
}
