//! ID mappings: `/linux/{uid,gid}Mappings` and those of mounts; and the IDs that must be in them.
//!
//! See user_namespaces(7), "User and group ID mappings".

use super::namespaces;
use super::report::{At, Fault, Report};
use super::schema::{ID, Kind, Object, int, list, object, required, text};
use crate::json::{Map, Value};

/// Lines that the kernel takes in one map (`UID_GID_MAP_MAX_EXTENTS`).
const LINES: usize = 340;

pub(super) const MAPPINGS: Kind = Kind::List(&MAPPING, mappings);

static MAPPING: Kind = Kind::Object(&Object {
    fields: &[
        required("containerID", ID, "give the first ID inside the container"),
        required("hostID", ID, "give the first ID outside the container"),
        required("size", Kind::Int(1, u32::MAX as i128), "give the number of IDs"),
    ],
    rule: end,
});

/// 4294967295 is no ID, so no range may reach it.
fn end(report: &mut Report, at: &At<'_>, mapping: &mut Map<'_>) {
    for name in ["containerID", "hostID"] {
        if let Some((_, end)) = range(mapping, name)
            && end > i128::from(u32::MAX)
        {
            let fault = Fault::new(format!("maps IDs up to {}, the last is 4294967294", end - 1));
            report.error(&at.key("size"), fault.hint("make size smaller"));
            return;
        }
    }
}

fn mappings(report: &mut Report, at: &At<'_>, mappings: &[Value<'_>]) {
    if mappings.len() > LINES {
        let fault = Fault::new(format!("found {} mappings, expected at most 340", mappings.len()));
        report.error(at, fault.hint("join neighbouring ranges"));
        return;
    }
    for name in ["containerID", "hostID"] {
        for (index, mapping) in mappings.iter().enumerate() {
            if let Some(earlier) =
                mappings[..index].iter().position(|it| overlap(it, mapping, name))
            {
                let fault = Fault::new(format!("the range overlaps that of mapping {earlier}"));
                report.error(&at.index(index).key(name), fault.hint("an ID is mapped only once"));
            }
        }
    }
}

fn overlap(a: &Value<'_>, b: &Value<'_>, name: &str) -> bool {
    let range = |mapping: &Value| range(mapping.as_object()?, name);
    match (range(a), range(b)) {
        (Some(a), Some(b)) => a.0 < b.1 && b.0 < a.1,
        _ => false,
    }
}

/// The IDs of a mapping on one side, as start and end; `None` if the mapping is unsound.
fn range(mapping: &Map<'_>, name: &str) -> Option<(i128, i128)> {
    let start = int(mapping, name).filter(|start| (0..u32::MAX.into()).contains(start))?;
    let size = int(mapping, "size").filter(|size| (1..=u32::MAX.into()).contains(size))?;
    Some((start, start + size))
}

/// Mappings go with a user namespace, and a new user namespace without any has no IDs at all.
pub(super) fn check_namespace(report: &mut Report, at: &At<'_>, linux: &Map<'_>) {
    let is_new = namespaces::is_new(linux, "user");
    for name in ["uidMappings", "gidMappings"] {
        let mapped = !list(linux, name).is_empty();
        if mapped && !namespaces::has(linux, "user") {
            let fault = Fault::new("needs a user namespace");
            let hint = "add {\"type\": \"user\"} to /linux/namespaces";
            report.error(&at.key(name), fault.hint(hint));
        } else if !mapped && is_new && !linux.contains(name) {
            let fault = Fault::new("is required for a new user namespace");
            let hint =
                "map the container's root: [{\"containerID\": 0, \"hostID\": .., \"size\": ..}]";
            report.error(&at.key(name), fault.hint(hint));
        }
    }
}

/// The IDs that the process and its mounts use must be mapped: the kernel knows no others in there.
pub(super) fn check_users(report: &mut Report, at: &At<'_>, document: &Map<'_>, linux: &Map<'_>) {
    let (uids, gids) = (list(linux, "uidMappings"), list(linux, "gidMappings"));
    let none = Map::default();
    let process_at = at.key("process");
    let user_at = process_at.key("user");
    let user =
        object(document, "process").and_then(|process| object(process, "user")).unwrap_or(&none);

    for (name, map) in [("uid", uids), ("gid", gids)] {
        if let Some(id) = int(user, name).filter(|id| !is_mapped(map, *id)) {
            report.error(&user_at.key(name), unmapped(id, name));
        }
    }
    let groups = user_at.key("additionalGids");
    for (index, group) in list(user, "additionalGids").iter().enumerate() {
        if let Some(id) = group.as_int().filter(|id| !is_mapped(gids, *id)) {
            report.error(&groups.index(index), unmapped(id, "gid"));
        }
    }
    let mounts_at = at.key("mounts");
    for (index, mount) in list(document, "mounts").iter().enumerate() {
        if let Some(mount) = mount.as_object() {
            check_mount(report, &mounts_at.index(index), mount, (uids, gids));
        }
    }
}

/// The owner that a new filesystem is asked to have.
fn check_mount(
    report: &mut Report,
    at: &At<'_>,
    mount: &Map<'_>,
    (uids, gids): (&[Value<'_>], &[Value<'_>]),
) {
    if !matches!(text(mount, "type"), Some("devpts" | "tmpfs")) {
        return;
    }
    let options_at = at.key("options");
    for (index, option) in list(mount, "options").iter().enumerate() {
        let (name, id) = option.as_str().and_then(|it| it.split_once('=')).unwrap_or_default();
        let map = match name {
            "uid" => uids,
            "gid" => gids,
            _ => continue,
        };
        if let Some(id) = id.parse::<i128>().ok().filter(|id| !is_mapped(map, *id)) {
            report.error(&options_at.index(index), unmapped(id, name));
        }
    }
}

/// Whether `mappings` has this ID of the container; without mappings every ID is itself. An unsound
/// mapping may have any: it is reported, what would follow from it is not.
fn is_mapped(mappings: &[Value<'_>], id: i128) -> bool {
    let range = |mapping: &Value| range(mapping.as_object()?, "containerID");
    let has =
        |mapping: &Value| range(mapping).is_none_or(|(start, end)| (start..end).contains(&id));
    mappings.is_empty() || mappings.iter().any(has)
}

fn unmapped(id: i128, kind: &str) -> Fault {
    Fault::new(format!("{kind} {id} is not in the container's user namespace"))
        .hint(format!("add it to /linux/{kind}Mappings"))
}
