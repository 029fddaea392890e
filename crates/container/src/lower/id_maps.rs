//! Whose the files of an id-mapped mount are.

use coracle_init::plan::{IdMapPlan, MountUsers};
use coracle_mount::IdMapOption;
use coracle_ns::idmap::{IdMap, IdMapping};
use coracle_spec::types::{Linux, Mount, NamespaceType};

use super::namespaces::id_map;

/// How the ids of `mount` are mapped, if they are; what is wrong with what was asked for otherwise.
///
/// The mappings of the mount itself come first, then those of the option, then the container's.
pub(super) fn lower(
    mount: &Mount,
    option: Option<&IdMapOption>,
    linux: &Linux,
) -> Result<Option<IdMapPlan>, String> {
    let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    let ranges = option.and_then(|option| option.ranges.as_deref());
    let users = match ranges {
        None if own => MountUsers::Maps {
            uids: id_map(&mount.uid_mappings),
            gids: id_map(&mount.gid_mappings),
        },
        None if option.is_some() => of_container(linux)?,
        None => return Ok(None),
        Some(_) if own => return Err("has ranges, and so have uidMappings and gidMappings".into()),
        Some(ranges) => parse(ranges, linux)?,
    };
    Ok(Some(IdMapPlan { users, recursive: option.is_some_and(|option| option.recursive) }))
}

fn of_container(linux: &Linux) -> Result<MountUsers, String> {
    let mut namespaces = linux.namespaces.iter();
    match namespaces.find(|namespace| namespace.kind == NamespaceType::User) {
        None => Err("needs a user namespace in /linux/namespaces, or uidMappings and gidMappings \
                     of the mount"
            .into()),
        Some(namespace) if namespace.path.is_some() => Ok(MountUsers::Joined),
        Some(_) => Ok(MountUsers::Maps {
            uids: id_map(&linux.uid_mappings),
            gids: id_map(&linux.gid_mappings),
        }),
    }
}

/// Reads what crun has as `uids=0-1000-10#20-2000-1;gids=@0-0-10`: the first id in the file system, the first
/// one on the host or, after `@`, in the container, and how many.
fn parse(ranges: &str, linux: &Linux) -> Result<MountUsers, String> {
    let (mut uids, mut gids) = (IdMap::default(), IdMap::default());
    for part in ranges.split(';').filter(|part| !part.is_empty()) {
        let (map, text, container) = match part.split_once('=') {
            Some(("uids", text)) => (&mut uids, text, &linux.uid_mappings),
            Some(("gids", text)) => (&mut gids, text, &linux.gid_mappings),
            _ => return Err(format!("{part:?} is neither uids=RANGES nor gids=RANGES")),
        };
        let container = id_map(container);
        for text in text.split('#') {
            map.0.push(range(text, &container)?);
        }
    }
    if uids.is_empty() || gids.is_empty() {
        return Err(format!("{ranges:?} lacks uids or gids"));
    }
    Ok(MountUsers::Maps { uids, gids })
}

fn range(text: &str, container: &IdMap) -> Result<IdMapping, String> {
    let (relative, numbers) = match text.strip_prefix('@') {
        Some(numbers) => (true, numbers),
        None => (false, text),
    };
    let numbers: Option<Vec<u32>> = numbers.split('-').map(|number| number.parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.last() != Some(&0));
    let Some([inside, outside, count]) = numbers.as_deref() else {
        return Err(format!("{text:?} is no range: write FILE-SYSTEM-ID-HOST-ID-COUNT in numbers"));
    };
    let mapping = IdMapping { inside: *inside, outside: *outside, count: *count };
    if !relative {
        return Ok(mapping);
    }
    let last = outside.saturating_add(count - 1);
    let ends = (container.to_outside(*outside), container.to_outside(last));
    match ends {
        (Some(first), Some(end)) if first.checked_add(count - 1) == Some(end) => {
            Ok(IdMapping { outside: first, ..mapping })
        }
        _ => Err(format!("{text:?} does not lie in one range of the container's user namespace")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let mapping = |inside, outside, count| IdMapping { inside, outside, count };
        let container = IdMap(vec![mapping(0, 1000, 1), mapping(1, 5000, 100)]);
        let maps: Result<Vec<_>, _> = text.split('#').map(|text| range(text, &container)).collect();
        Ok(IdMap(maps?).to_string())
    }

    #[test]
    fn ranges_are_of_the_host_or_of_the_container() {
        assert_eq!(read("0-7-3#10-20-1").unwrap(), "0 7 3\n10 20 1\n");
        assert_eq!(read("0-0-1#@0-0-1#@9-1-100").unwrap(), "0 0 1\n0 1000 1\n9 5000 100\n");
        for text in ["", "0-1", "0-1-2-3", "0-1-0", "a-1-1", "-1-1-1", "@0-0-2", "@0-200-1"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_kinds_of_ids_must_be_mapped() {
        let linux = Linux::default();
        assert!(parse("uids=0-1-1;gids=0-1-1#5-6-1;", &linux).is_ok());
        for text in ["", "uids=0-1-1", "gids=0-1-1", "uids=0-1-1;gid=0-1-1", "0-1-1"] {
            assert!(parse(text, &linux).is_err(), "{text}");
        }
    }
}
