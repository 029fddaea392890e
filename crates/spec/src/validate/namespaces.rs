//! `/linux/namespaces`:
//! <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#namespaces>.

use super::report::{At, Report};
use super::schema::{Kind, Object, field, free_object, list, required, text, unique};
use super::text::absolute;
use crate::json::{Map, Value};

pub(super) const NAMESPACES: Kind = Kind::List(&NAMESPACE, types);

static NAMESPACE: Kind = Kind::Object(&Object {
    fields: &[
        required("type", Kind::OneOf(TYPES), "name the namespace, as \"pid\""),
        field("path", Kind::Text(absolute)),
    ],
    rule: free_object,
});

const TYPES: &[&str] = &["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];

pub(super) const ADD_NETWORK: &str = "add {\"type\": \"network\"} to /linux/namespaces";

fn types(report: &mut Report, at: &At<'_>, namespaces: &[Value<'_>]) {
    unique(report, at, namespaces, "type");
}

/// Whether the container has a namespace of this type that is not the host's: a new or a joined one.
///
/// A namespace whose type is wrong may be the one: that is reported, what would follow from it is not.
pub(super) fn has(linux: &Map<'_>, kind: &str) -> bool {
    list(linux, "namespaces").iter().any(|namespace| {
        let found = namespace.as_object().and_then(|it| text(it, "type"));
        found.is_none_or(|found| found == kind || !TYPES.contains(&found))
    })
}

/// Whether the container gets a new namespace of this type.
pub(super) fn is_new(linux: &Map<'_>, kind: &str) -> bool {
    find(linux, kind).is_some_and(|namespace| !namespace.contains("path"))
}

/// Whether the container joins an existing namespace of this type.
pub(super) fn is_joined(linux: &Map<'_>, kind: &str) -> bool {
    find(linux, kind).is_some_and(|namespace| namespace.contains("path"))
}

fn find<'m, 'a>(linux: &'m Map<'a>, kind: &str) -> Option<&'m Map<'a>> {
    list(linux, "namespaces")
        .iter()
        .filter_map(Value::as_object)
        .find(|namespace| text(namespace, "type") == Some(kind))
}
