//! The document as a whole: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md>.

use super::report::{At, Fault, Report};
use super::schema::{Kind, Object, field, free_list, free_object, object, required};
use super::text::{any, host_name, not_empty};
use super::{hooks, idmap, linux, mounts, namespaces, process, resources};
use crate::OCI_VERSION;
use crate::json::{Map, Value};

static DOCUMENT: Kind = Kind::Object(&Object {
    fields: &[
        required("ociVersion", Kind::Text(version), "write \"1.3.0\""),
        required("root", Kind::Object(&ROOT), "write {\"path\": \"rootfs\"}"),
        field("mounts", MOUNTS),
        required(
            "process",
            process::PROCESS,
            "write {\"cwd\": \"/\", \"args\": [..]} to say what to run",
        ),
        field("hostname", Kind::Text(host_name)),
        field("domainname", Kind::Text(host_name)),
        field("hooks", hooks::HOOKS),
        field("annotations", Kind::Map(not_empty, &Kind::Text(any))),
        field("linux", linux::LINUX),
        field("solaris", Kind::Foreign),
        field("windows", Kind::Foreign),
        field("vm", Kind::Foreign),
        field("zos", Kind::Foreign),
        field("freebsd", Kind::Foreign),
    ],
    rule: sections,
});

const MOUNTS: Kind = Kind::List(&mounts::MOUNT, free_list);

static ROOT: Object = Object {
    fields: &[
        required("path", Kind::Text(not_empty), "name the directory of the root filesystem"),
        field("readonly", Kind::Bool),
    ],
    rule: free_object,
};

/// Reports what is wrong with `document` and normalises it.
pub(crate) fn document(report: &mut Report, document: &mut Value<'_>) {
    DOCUMENT.check(report, &At::DOCUMENT, document);
}

/// The same for a process alone, which stands for the one of a document.
pub(crate) fn lone_process(report: &mut Report, process: &mut Value<'_>) {
    process::PROCESS.check(report, &At::DOCUMENT.key("process"), process);
}

/// The same for a list of mounts alone.
pub(crate) fn lone_mounts(report: &mut Report, mounts: &mut Value<'_>) {
    MOUNTS.check(report, &At::DOCUMENT.key("mounts"), mounts);
}

/// The same for limits alone.
pub(crate) fn lone_resources(report: &mut Report, resources: &mut Value<'_>) {
    let linux = At::DOCUMENT.key("linux");
    resources::RESOURCES.check(report, &linux.key("resources"), resources);
}

/// A semantic version that this crate implements: any 1.x.y.
fn version(text: &str) -> Result<(), Fault> {
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = numbers.split('.').map(str::parse::<u32>).collect();
    match parts[..] {
        [Ok(1), Ok(_), Ok(_)] => Ok(()),
        [Ok(_), Ok(_), Ok(_)] => {
            Err(Fault::found_text(text, "1.x.y").hint(format!("this is for {OCI_VERSION}")))
        }
        _ => Err(Fault::found_text(text, "a version like 1.3.0")),
    }
}

/// The rules between the sections of a document.
fn sections(report: &mut Report, at: &At<'_>, document: &mut Map<'_>) {
    let none = Map::default();
    let linux = object(document, "linux").unwrap_or(&none);

    for name in ["hostname", "domainname"] {
        if document.contains(name) && !namespaces::has(linux, "uts") {
            let fault = Fault::new("needs a uts namespace");
            report.error(&at.key(name), fault.hint("add {\"type\": \"uts\"} to /linux/namespaces"));
        }
    }
    idmap::check_users(report, at, document, linux);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_this_major_are_accepted() {
        for text in ["1.0.0", "1.0.2-dev", "1.3.0", "1.0.0-rc5", "1.99.0", "1.2.3-a.1+b.2"] {
            assert!(version(text).is_ok(), "{text}");
        }
        for text in
            ["", "1", "1.0", "v1.0.0", "0.9.0", "2.0.0", "9.9.9", "1.x.0", "1.0.0.0", "-1.0.0"]
        {
            assert!(version(text).is_err(), "{text}");
        }
    }
}
