//! `/mounts`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#mounts>.

use std::path::{Component, Path};

use super::idmap;
use super::report::{At, Fault, Report, shown_text};
use super::schema::{Kind, Object, field, free_list, list, required, text};
use super::text::{any, not_empty};
use crate::json::{Map, Value};

pub(super) static MOUNT: Kind = Kind::Object(&Object {
    fields: &[
        required("destination", Kind::Text(not_empty), "name the place in the container"),
        field("source", Kind::Text(any)),
        field("options", Kind::List(&Kind::Text(not_empty), free_list)),
        field("type", Kind::Text(any)),
        field("uidMappings", idmap::MAPPINGS),
        field("gidMappings", idmap::MAPPINGS),
    ],
    rule: mount,
});

fn mount(report: &mut Report, at: &At<'_>, mount: &mut Map<'_>) {
    destination(report, at, mount);
    source(report, at, mount);
    id_mapping(report, at, mount);
}

/// A relative destination is an old form that the specification lets a runtime take as one from `/`.
fn destination(report: &mut Report, at: &At<'_>, mount: &mut Map<'_>) {
    let at = at.key("destination");
    let Some(Value::String(path)) = mount.get_mut("destination") else { return };
    if path.is_empty() {
        return;
    }
    if !path.starts_with('/') {
        let absolute = format!("/{path}");
        report.warn(&at, Fault::new(format!("is relative and taken as {}", shown_text(&absolute))));
        *path = absolute.into();
    }
    if is_root(Path::new(&**path)) {
        let fault = Fault::new("would hide the root filesystem");
        report.error(&at, fault.hint("use /root to choose what is mounted on /"));
    }
}

/// Whether `path`, read without regard to symlinks, is `/`.
fn is_root(path: &Path) -> bool {
    let depth = path.components().fold(0_usize, |depth, part| match part {
        Component::Normal(_) => depth + 1,
        Component::ParentDir => depth.saturating_sub(1),
        _ => depth,
    });
    depth == 0
}

/// A bind mount needs a source, any other mount a filesystem type, and a change of a mount neither.
fn source(report: &mut Report, at: &At<'_>, mount: &Map<'_>) {
    let (name, hint) = if has_option(mount, "remount") {
        return;
    } else if is_bind(mount) {
        ("source", "name the file or directory to bind")
    } else {
        ("type", "name the filesystem, as \"tmpfs\", or add the option \"bind\"")
    };
    if !mount.contains(name) {
        report.error(&at.key(name), Fault::new("is required").hint(hint));
    }
}

/// ID mappings come in pairs and apply to bind mounts.
fn id_mapping(report: &mut Report, at: &At<'_>, mount: &Map<'_>) {
    let mapped = |name| !list(mount, name).is_empty();
    for (name, other) in [("uidMappings", "gidMappings"), ("gidMappings", "uidMappings")] {
        if mapped(other) && !mapped(name) {
            report.error(&at.key(name), Fault::new(format!("is required beside {other}")));
        }
    }
    let by_option = has_option(mount, "idmap") || has_option(mount, "ridmap");
    if (by_option || mapped("uidMappings") || mapped("gidMappings")) && !is_bind(mount) {
        let fault = Fault::new("only a bind mount can have its IDs mapped");
        report.error(at, fault.hint("add the option \"bind\" or \"rbind\""));
    }
}

fn is_bind(mount: &Map<'_>) -> bool {
    text(mount, "type") == Some("bind") || has_option(mount, "bind") || has_option(mount, "rbind")
}

/// Whether the mount has the option, with or without a value.
fn has_option(mount: &Map<'_>, name: &str) -> bool {
    list(mount, "options")
        .iter()
        .filter_map(Value::as_str)
        .any(|option| option.split('=').next() == Some(name))
}
