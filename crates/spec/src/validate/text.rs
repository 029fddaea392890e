//! Rules for texts.

use std::path::{Component, Path};

use super::report::Fault;
use super::schema::Verdict;

/// Any text.
pub(crate) fn any(_: &str) -> Verdict {
    Ok(())
}

/// A text with something in it.
pub(crate) fn not_empty(text: &str) -> Verdict {
    if text.is_empty() { Err(Fault::new("must not be empty")) } else { Ok(()) }
}

/// A text that fits on one line of a file or a log.
pub(crate) fn one_line(text: &str) -> Verdict {
    match text.chars().any(char::is_control) {
        true => Err(Fault::found_text(text, "a text without control characters")),
        false => not_empty(text),
    }
}

/// A path from the root.
pub(crate) fn absolute(path: &str) -> Verdict {
    match path.starts_with('/') {
        true => Ok(()),
        false => Err(Fault::found_text(path, "an absolute path")),
    }
}

/// A path that stays below where it starts.
pub(crate) fn without_parents(path: &str) -> Verdict {
    match Path::new(path).components().any(|part| part == Component::ParentDir) {
        true => Err(Fault::found_text(path, "a path without `..`")),
        false => one_line(path),
    }
}

/// A host or domain name as the kernel takes it: at most 64 bytes (`__NEW_UTS_LEN`).
pub(crate) fn host_name(name: &str) -> Verdict {
    match name.len() {
        0..=64 => one_line(name),
        _ => Err(Fault::found_text(name, "a name of at most 64 bytes")),
    }
}

/// `NAME=value`, as execve(2) passes it.
pub(crate) fn variable(text: &str) -> Verdict {
    match text.find('=') {
        Some(1..) => Ok(()),
        _ => Err(Fault::found_text(text, "NAME=value")),
    }
}

/// A network interface's name: 1 to 15 bytes, no `/`, no `:`, no space (dev_valid_name of the kernel).
pub(crate) fn interface(name: &str) -> Verdict {
    let valid = (1..16).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_ascii_whitespace());
    match valid {
        true => Ok(()),
        false => Err(Fault::found_text(name, "an interface name of 1 to 15 bytes")),
    }
}

/// The list of numbers in `text`, as `0-3,7`, without what means nothing; `None` if it is no such list.
pub(super) fn number_list(text: &str) -> Option<String> {
    let ranges = text.split(',').map(str::trim).filter(|range| !range.is_empty());
    ranges.clone().all(is_range).then(|| {
        let mut list = String::with_capacity(text.len());
        for range in ranges {
            if !list.is_empty() {
                list.push(',');
            }
            list.extend(range.split_whitespace());
        }
        list
    })
}

fn is_range(range: &str) -> bool {
    let number = |text: &str| {
        let text = text.trim();
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten()
    };
    match range.split_once('-') {
        None => number(range).is_some(),
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_lists() {
        for (text, list) in [
            ("0", Some("0")),
            ("0-3,7", Some("0-3,7")),
            (" 0 - 3 , 7,", Some("0-3,7")),
            ("", Some("")),
            (" , ", Some("")),
            ("3-0", None),
            ("a", None),
            ("1 2", None),
            ("+1", None),
            ("-", None),
            ("99999999999", None),
            ("١", None),
        ] {
            assert_eq!(number_list(text).as_deref(), list, "{text:?}");
        }
    }
}
