//! The known name that a misspelt one probably stands for.

/// Longer names are compared no further.
const LONGEST: usize = 64;

/// The one of `known` that is nearest to `name`: equal but for case, begun by it, or a few edits away.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let allowed = (name.len() / 3).min(3);
    known
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of bytes to insert, delete or replace to get from `a` to `b` (Levenshtein); a beginning
/// counts as one edit.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 2 && b.starts_with(a) {
        return usize::from(a != b);
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let kinds = ["mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time"];
        for (name, meant) in [
            ("net", Some("network")),
            ("Mount", Some("mount")),
            ("mounts", Some("mount")),
            ("usr", Some("user")),
            ("pdi", None),
            ("x", None),
            ("", None),
            ("something", None),
        ] {
            assert_eq!(nearest(name, kinds), meant, "{name}");
        }
        assert_eq!(nearest("readOnly", ["path", "readonly"]), Some("readonly"));
        assert_eq!(nearest("SYS_ADMIN", ["CAP_SYS_ADMIN"]), None);
    }
}
