//! The words of a mount's `options`, as in fstab(5) and the OCI runtime specification.

use serde::{Deserialize, Serialize};

use crate::{Attributes, MountFlags, Parameter, Propagation, PropagationKind};

/// What the words mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// Flags and propagation of the mount.
    pub attributes: Attributes,
    /// `bind` (false) or `rbind` (true).
    pub bind: Option<bool>,
    /// `remount`: what is mounted there already is changed.
    pub remount: bool,
    /// `idmap` and `ridmap`: the owners of files are mapped.
    pub id_map: Option<IdMapOption>,
    /// `src-nofollow` and `copy-symlink`.
    pub source_link: SourceLink,
    /// `dest-nofollow`: a symbolic link in the mount's place is covered, not followed.
    pub over_link: bool,
    /// `tmpcopyup`: what the place has is copied into the new tmpfs.
    pub copy_up: bool,
    /// What is for the file system driver.
    pub parameters: Vec<Parameter>,
}

/// `idmap` and `ridmap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMapOption {
    /// For the mounts below, too.
    pub recursive: bool,
    /// The word's value, as crun's `uids=0-1000-10;gids=0-1000-10`.
    pub ranges: Option<String>,
}

/// What a symbolic link as the source of a bind mount stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceLink {
    /// What it points to.
    #[default]
    Follow,
    /// Itself: the link is mounted.
    Itself,
    /// A link with the same text, made in the mount's place.
    Copy,
}

/// What a word does to the flags: raises the first, lowers the second.
const FLAGS: [(&str, MountFlags, MountFlags); 18] = {
    const NONE: MountFlags = MountFlags::empty();
    [
        ("ro", MountFlags::RDONLY, NONE),
        ("rw", NONE, MountFlags::RDONLY),
        ("nosuid", MountFlags::NOSUID, NONE),
        ("suid", NONE, MountFlags::NOSUID),
        ("nodev", MountFlags::NODEV, NONE),
        ("dev", NONE, MountFlags::NODEV),
        ("noexec", MountFlags::NOEXEC, NONE),
        ("exec", NONE, MountFlags::NOEXEC),
        ("noatime", MountFlags::NOATIME, MountFlags::ATIME),
        ("atime", NONE, MountFlags::ATIME),
        ("relatime", NONE, MountFlags::ATIME),
        ("norelatime", NONE, MountFlags::ATIME),
        ("strictatime", MountFlags::STRICTATIME, MountFlags::ATIME),
        ("nostrictatime", NONE, MountFlags::ATIME),
        ("nodiratime", MountFlags::NODIRATIME, NONE),
        ("diratime", NONE, MountFlags::NODIRATIME),
        ("nosymfollow", MountFlags::NOSYMFOLLOW, NONE),
        ("symfollow", NONE, MountFlags::NOSYMFOLLOW),
    ]
};

/// Words that are about the mount as a whole.
const OTHERS: [&str; 7] =
    ["copy-symlink", "dest-nofollow", "idmap", "remount", "ridmap", "src-nofollow", "tmpcopyup"];

/// Words for what is so anyway.
const WITHOUT_EFFECT: [&str; 5] = ["defaults", "loud", "silent", "norbind", "nobind"];

/// Words that undo another, which the driver of any file system knows.
const UNDOING: [(&str, &str); 5] = [
    ("async", "sync"),
    ("noacl", "acl"),
    ("noiversion", "iversion"),
    ("nolazytime", "lazytime"),
    ("nomand", "mand"),
];

/// Words that Linux itself takes on behalf of every driver; see mount(2).
const OF_EVERY_DRIVER: [&str; 6] = ["acl", "dirsync", "iversion", "lazytime", "mand", "sync"];

impl MountOptions {
    /// The words that mean the same on every file system, in alphabetical order.
    pub fn words() -> Vec<String> {
        let flags = FLAGS.iter().map(|(name, ..)| *name);
        let undoing = UNDOING.iter().map(|(word, _)| *word);
        let others = WITHOUT_EFFECT.into_iter().chain(OF_EVERY_DRIVER).chain(undoing).chain(OTHERS);
        let recursive = flags.clone().chain(PropagationKind::NAMES).chain(["bind"]);
        let single = recursive.clone().chain(others).map(str::to_owned);
        let mut words: Vec<_> = recursive.map(|word| format!("r{word}")).chain(single).collect();
        words.sort();
        words
    }

    /// Reads the words; of contradicting ones the last wins. What is not known is for the driver.
    pub fn parse<'word>(words: impl IntoIterator<Item = &'word str>) -> Self {
        let mut options = Self::default();
        words.into_iter().for_each(|word| options.add(word));
        options
    }

    fn add(&mut self, word: &str) {
        if let Some(propagation) = Propagation::named(word) {
            self.attributes.propagation.push(propagation);
        } else if let Some((set, clear)) = flags(word) {
            change(&mut self.attributes.set, &mut self.attributes.clear, set, clear);
        } else if let Some((set, clear)) = word.strip_prefix('r').and_then(flags) {
            let Attributes { recursive_set, recursive_clear, .. } = &mut self.attributes;
            change(recursive_set, recursive_clear, set, clear);
        } else {
            self.add_other(word);
        }
    }

    fn add_other(&mut self, word: &str) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        match (name, value) {
            ("idmap" | "ridmap", ranges) => {
                let (recursive, ranges) = (name == "ridmap", ranges.map(str::to_owned));
                self.id_map = Some(IdMapOption { recursive, ranges });
            }
            ("bind", None) => self.bind = self.bind.or(Some(false)),
            ("rbind", None) => self.bind = Some(true),
            ("remount", None) => self.remount = true,
            ("src-nofollow", None) => self.source_link = SourceLink::Itself,
            ("copy-symlink", None) => self.source_link = SourceLink::Copy,
            ("dest-nofollow", None) => self.over_link = true,
            ("tmpcopyup", None) => self.copy_up = true,
            (_, None) if word.is_empty() || WITHOUT_EFFECT.contains(&word) => {}
            _ => split(word).for_each(|word| self.add_parameter(word)),
        }
    }

    fn add_parameter(&mut self, word: &str) {
        // A driver knows the absence of a flag only as the absence of its word.
        match UNDOING.iter().find(|(undoing, _)| *undoing == word) {
            Some((_, undone)) => self.parameters.retain(|parameter| parameter.key != *undone),
            None => self.parameters.push(Parameter::parse(word)),
        }
    }
}

/// Splits what is for the driver at its commas, as mount(2) would: not at those in quotes, not at those after
/// a backslash, which overlayfs takes for part of a name, and not before a digit, as in tmpfs' lists of nodes.
fn split(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(word);
    std::iter::from_fn(move || {
        let (part, after) = first_part(rest?);
        rest = after;
        Some(part)
    })
    .filter(|part| !part.is_empty())
}

fn first_part(word: &str) -> (&str, Option<&str>) {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in word.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted
                && !word[index + 1..].starts_with(|next: char| next.is_ascii_digit()) =>
            {
                return (&word[..index], Some(&word[index + 1..]));
            }
            _ => {}
        }
    }
    (word, None)
}

fn flags(word: &str) -> Option<(MountFlags, MountFlags)> {
    FLAGS.iter().find(|(name, ..)| *name == word).map(|(_, set, clear)| (*set, *clear))
}

/// Later words undo earlier ones: what is lowered leaves the raised flags, and the other way round.
fn change(set: &mut MountFlags, clear: &mut MountFlags, raise: MountFlags, lower: MountFlags) {
    set.remove(lower);
    clear.insert(lower);
    set.insert(raise);
    if lower.is_empty() {
        clear.remove(raise);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> MountOptions {
        MountOptions::parse(words.split(','))
    }

    #[test]
    fn the_last_word_wins() {
        let options = parse("ro,rw,nosuid");
        assert_eq!(options.attributes.set, MountFlags::NOSUID);
        assert_eq!(options.attributes.clear, MountFlags::RDONLY);
        let options = parse("rw,ro");
        assert_eq!(options.attributes.set, MountFlags::RDONLY);
        assert!(options.attributes.clear.is_empty());
    }

    #[test]
    fn one_access_time_setting_replaces_another() {
        let attributes = parse("noatime,strictatime").attributes;
        assert_eq!(
            (attributes.set, attributes.clear),
            (MountFlags::STRICTATIME, MountFlags::ATIME)
        );
        let attributes = parse("noatime,relatime").attributes;
        assert_eq!((attributes.set, attributes.clear), (MountFlags::empty(), MountFlags::ATIME));
    }

    #[test]
    fn recursive_words_and_propagation() {
        let options = parse("rbind,rro,rprivate,shared");
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.attributes.recursive_set, MountFlags::RDONLY);
        assert!(options.attributes.set.is_empty());
        let names = ["rprivate", "shared"].map(|name| Propagation::named(name).unwrap());
        assert_eq!(options.attributes.propagation, names);
        // Not the recursive form of "elatime".
        assert!(parse("relatime").parameters.is_empty());
    }

    #[test]
    fn knows_all_its_words() {
        let words = MountOptions::words();
        assert!(words.is_sorted() && words.windows(2).all(|pair| pair[0] != pair[1]), "{words:?}");
        for word in &words {
            let options = MountOptions::parse([word.as_str()]);
            let for_driver = OF_EVERY_DRIVER.contains(&word.as_str());
            assert_eq!(!options.parameters.is_empty(), for_driver, "{word}");
        }
        for word in ["rro", "rbind", "rslave", "rnostrictatime", "nosymfollow", "sync"] {
            assert!(words.iter().any(|known| known == word), "{word}");
        }
    }

    #[test]
    fn unknown_words_are_for_the_driver() {
        let options = parse("mode=755,size=64k,newinstance,sync,async,defaults");
        let words: Vec<_> = options.parameters.iter().map(ToString::to_string).collect();
        assert_eq!(words, ["mode=755", "size=64k", "newinstance"]);
    }

    #[test]
    fn one_word_may_be_several_for_the_driver() {
        let words = |text| {
            let parameters = MountOptions::parse([text]).parameters;
            parameters.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(words("size=1m,mode=700,,x"), ["size=1m", "mode=700", "x"]);
        assert_eq!(words("mpol=bind:0,2,size=1m"), ["mpol=bind:0,2", "size=1m"]);
        assert_eq!(words(r"lowerdir=/a\,b:/c,x"), [r"lowerdir=/a\,b:/c", "x"]);
        assert_eq!(words(r#"context="u:r:t:s0:c1,c2",x"#), ["context=u:r:t:s0:c1,c2", "x"]);
    }

    #[test]
    fn words_about_the_whole_mount() {
        let options = parse("rbind,copy-symlink,dest-nofollow,idmap,remount");
        assert_eq!(options.source_link, SourceLink::Copy);
        assert!(options.over_link && options.remount && options.parameters.is_empty());
        let ranges = Some("uids=0-1-2#3-4-5;gids=0-1-2".to_owned());
        let options = MountOptions::parse(["ridmap=uids=0-1-2#3-4-5;gids=0-1-2"]);
        assert_eq!(options.id_map, Some(IdMapOption { recursive: true, ranges }));
    }
}
