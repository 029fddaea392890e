//! `/linux/devices` and `/linux/resources/devices`.

use super::report::{At, Fault, Report};
use super::schema::{ID, Kind, Object, Verdict, field, required, text};
use super::text::absolute;
use crate::json::Map;

/// Device numbers that the kernel can hold: 12 bits of major, 20 bits of minor (`MINORBITS`). mknod(2)
/// drops higher bits without a word and so makes another device.
const MAJOR: i128 = 0xfff;
const MINOR: i128 = 0xf_ffff;

/// A device node.
pub(super) static DEVICE: Kind = Kind::Object(&Object {
    fields: &[
        required("type", Kind::OneOf(&["b", "c", "u", "p"]), "write \"b\", \"c\" or \"p\""),
        required("path", Kind::Text(absolute), "name the place in the container"),
        field("major", Kind::Int(0, MAJOR)),
        field("minor", Kind::Int(0, MINOR)),
        // Docker passes the whole st_mode, type bits included.
        field("fileMode", Kind::Int(0, 0o177_777)),
        field("uid", ID),
        field("gid", ID),
    ],
    rule: numbers,
});

/// A rule of the device controller.
pub(super) static RULE: Kind = Kind::Object(&Object {
    fields: &[
        required("allow", Kind::Bool, "write true or false"),
        field("type", Kind::OneOf(&["a", "b", "c"])),
        field("major", Kind::Int(-1, u32::MAX as i128)),
        field("minor", Kind::Int(-1, u32::MAX as i128)),
        field("access", Kind::Text(access)),
    ],
    rule: wildcards,
});

fn numbers(report: &mut Report, at: &At<'_>, device: &mut Map<'_>) {
    if !matches!(text(device, "type"), Some("b" | "c" | "u")) {
        return;
    }
    for name in ["major", "minor"] {
        if !device.contains(name) {
            let fault = Fault::new("is required");
            report.error(&at.key(name), fault.hint("only a pipe (type \"p\") has no number"));
        }
    }
}

/// No number stands for every number, as -1 did in older versions of the specification.
fn wildcards(_: &mut Report, _: &At<'_>, rule: &mut Map<'_>) {
    rule.retain(|_, value| value.as_int() != Some(-1));
}

fn access(access: &str) -> Verdict {
    match access.chars().all(|c| "rwm".contains(c)) {
        true => Ok(()),
        false => Err(Fault::found_text(access, "some of the letters r, w and m")),
    }
}
