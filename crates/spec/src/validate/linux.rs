//! `/linux`: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md>.

use super::report::{At, Fault, Report};
use super::schema::{I64, Kind, Object, field, free_list, free_object, list, object, required};
use super::text::{absolute, any, not_empty, one_line, without_parents};
use super::{devices, idmap, memory_policy, namespaces, network, resources, seccomp, sysctl};
use crate::json::Map;

pub(super) const LINUX: Kind = Kind::Object(&Object {
    fields: &[
        field("devices", Kind::List(&devices::DEVICE, free_list)),
        field("netDevices", network::DEVICES),
        field("uidMappings", idmap::MAPPINGS),
        field("gidMappings", idmap::MAPPINGS),
        field("namespaces", namespaces::NAMESPACES),
        field("resources", resources::RESOURCES),
        field("cgroupsPath", Kind::Text(without_parents)),
        field("rootfsPropagation", Kind::OneOf(PROPAGATIONS)),
        field("seccomp", seccomp::SECCOMP),
        field("sysctl", Kind::Map(sysctl::key, &Kind::Text(sysctl::value))),
        field("maskedPaths", PATHS),
        field("readonlyPaths", PATHS),
        field("mountLabel", Kind::Text(one_line)),
        field("intelRdt", Kind::Object(&INTEL_RDT)),
        field("memoryPolicy", memory_policy::MEMORY_POLICY),
        field("personality", Kind::Object(&PERSONALITY)),
        field("timeOffsets", Kind::Object(&TIME_OFFSETS)),
    ],
    rule: linux,
});

const PATHS: Kind = Kind::List(&Kind::Text(absolute), free_list);

/// The words of the specification, and the recursive forms that every runtime takes.
const PROPAGATIONS: &[&str] =
    &["private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"];

static INTEL_RDT: Object = Object {
    fields: &[
        field("closID", Kind::Text(clos_id)),
        field("schemata", Kind::List(&Kind::Text(one_line), free_list)),
        field("l3CacheSchema", Kind::Text(any)),
        field("memBwSchema", Kind::Text(memory_bandwidth)),
        field("enableMonitoring", Kind::Bool),
        // Of version 1.2, replaced by enableMonitoring in 1.3.
        field("enableCMT", Kind::Bool),
        field("enableMBM", Kind::Bool),
    ],
    rule: free_object,
};

static PERSONALITY: Object = Object {
    fields: &[
        required("domain", Kind::OneOf(&["LINUX", "LINUX32"]), "write \"LINUX\" or \"LINUX32\""),
        field("flags", Kind::List(&Kind::Text(not_empty), free_list)),
    ],
    rule: personality,
};

static TIME_OFFSETS: Object = Object {
    fields: &[
        field("boottime", Kind::Object(&TIME_OFFSET)),
        field("monotonic", Kind::Object(&TIME_OFFSET)),
    ],
    rule: free_object,
};
static TIME_OFFSET: Object = Object {
    fields: &[field("secs", I64), field("nanosecs", Kind::Int(0, 999_999_999))],
    rule: free_object,
};

/// The specification reserves flags for later.
fn personality(report: &mut Report, at: &At<'_>, personality: &mut Map<'_>) {
    if !list(personality, "flags").is_empty() {
        report.warn(&at.key("flags"), Fault::new("no flag is defined; they are ignored"));
    }
}

fn linux(report: &mut Report, at: &At<'_>, linux: &mut Map<'_>) {
    idmap::check_namespace(report, at, linux);
    sysctl::check_namespaces(report, at, linux);
    time(report, at, linux);
    mount(report, at, linux);
    network::check(report, at, linux);
}

/// Offsets are those of a namespace that is created, not of one that is joined (time_namespaces(7)).
fn time(report: &mut Report, at: &At<'_>, linux: &Map<'_>) {
    if object(linux, "timeOffsets").is_none_or(Map::is_empty) {
        return;
    }
    let at = at.key("timeOffsets");
    if !namespaces::has(linux, "time") {
        let fault = Fault::new("needs a time namespace");
        report.error(&at, fault.hint("add {\"type\": \"time\"} to /linux/namespaces"));
    } else if namespaces::is_joined(linux, "time") {
        let fault = Fault::new("cannot be set on a time namespace that is joined");
        report.error(&at, fault.hint("remove its path from /linux/namespaces, or the offsets"));
    }
}

/// In the host's mount namespace these would change the host.
fn mount(report: &mut Report, at: &At<'_>, linux: &Map<'_>) {
    for name in ["maskedPaths", "readonlyPaths"] {
        if !list(linux, name).is_empty() && !namespaces::has(linux, "mount") {
            let fault = Fault::new("needs a mount namespace");
            let hint = "add {\"type\": \"mount\"} to /linux/namespaces";
            report.error(&at.key(name), fault.hint(hint));
        }
    }
}

/// The name of a directory in resctrl, or `/` for the class that everything is in at first.
fn clos_id(id: &str) -> Result<(), Fault> {
    match id == "." || id == ".." || id != "/" && id.contains('/') {
        true => Err(Fault::found_text(id, "the name of a directory without `/`, or `/` alone")),
        false => one_line(id),
    }
}

fn memory_bandwidth(schema: &str) -> Result<(), Fault> {
    match schema.starts_with("MB:") {
        true => one_line(schema),
        false => Err(Fault::found_text(schema, "a line that starts with MB:")),
    }
}
