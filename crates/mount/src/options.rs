//! The words of a mount's `options`, as in fstab(5) and the OCI runtime specification.

use crate::{Attributes, MountFlags, Parameter, Propagation, PropagationKind};

/// What the words mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// Flags and propagation of the mount.
    pub attributes: Attributes,
    /// `bind` (false) or `rbind` (true).
    pub bind: Option<bool>,
    /// `tmpcopyup`: what the place has is copied into the new tmpfs.
    pub copy_up: bool,
    /// What is for the file system driver.
    pub parameters: Vec<Parameter>,
}

/// A word that means something this crate does not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mount option {0:?} is not supported yet")]
pub struct OptionError(pub String);

/// Words for things to come, which must not reach the file system driver.
const UNSUPPORTED: [&str; 8] = [
    "remount",
    "idmap",
    "ridmap",
    "copy-symlink",
    "src-nofollow",
    "dest-nofollow",
    "mand",
    "nomand",
];

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

const COPY_UP: &str = "tmpcopyup";

/// Words for what is so anyway.
const WITHOUT_EFFECT: [&str; 5] = ["defaults", "loud", "silent", "norbind", "nobind"];

/// Words that undo another, which the driver of any file system knows.
const UNDOING: [(&str, &str); 2] = [("async", "sync"), ("nolazytime", "lazytime")];

/// Words that Linux itself takes on behalf of every driver; see fsconfig(2).
const OF_EVERY_DRIVER: [&str; 3] = ["dirsync", "lazytime", "sync"];

impl MountOptions {
    /// The words that mean the same on every file system, in alphabetical order.
    pub fn words() -> Vec<String> {
        let flags = FLAGS.iter().map(|(name, ..)| *name);
        let undoing = UNDOING.iter().map(|(word, _)| *word);
        let others = WITHOUT_EFFECT.into_iter().chain(OF_EVERY_DRIVER).chain(undoing);
        let others = others.chain([COPY_UP]);
        let recursive = flags.clone().chain(PropagationKind::NAMES).chain(["bind"]);
        let single = recursive.clone().chain(others).map(str::to_owned);
        let mut words: Vec<_> = recursive.map(|word| format!("r{word}")).chain(single).collect();
        words.sort();
        words
    }

    /// Reads the words; of contradicting ones the last wins. What is not known is for the driver.
    pub fn parse<'word>(words: impl IntoIterator<Item = &'word str>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for word in words {
            options.add(word)?;
        }
        Ok(options)
    }

    fn add(&mut self, word: &str) -> Result<(), OptionError> {
        if UNSUPPORTED.contains(&word.split('=').next().unwrap_or_default()) {
            return Err(OptionError(word.to_owned()));
        }
        if let Some(propagation) = Propagation::named(word) {
            self.attributes.propagation.push(propagation);
        } else if let Some((set, clear)) = flags(word) {
            change(&mut self.attributes.set, &mut self.attributes.clear, set, clear);
        } else if let Some((set, clear)) = word.strip_prefix('r').and_then(flags) {
            let Attributes { recursive_set, recursive_clear, .. } = &mut self.attributes;
            change(recursive_set, recursive_clear, set, clear);
        } else {
            match word {
                word if word.is_empty() || WITHOUT_EFFECT.contains(&word) => {}
                "bind" => self.bind = self.bind.or(Some(false)),
                "rbind" => self.bind = Some(true),
                COPY_UP => self.copy_up = true,
                _ => self.add_parameter(word),
            }
        }
        Ok(())
    }

    fn add_parameter(&mut self, word: &str) {
        // A driver knows the absence of a flag only as the absence of its word.
        match UNDOING.iter().find(|(undoing, _)| *undoing == word) {
            Some((_, undone)) => self.parameters.retain(|parameter| parameter.key != *undone),
            None => self.parameters.push(Parameter::parse(word)),
        }
    }
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
        MountOptions::parse(words.split(',')).unwrap()
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
            let options = MountOptions::parse([word.as_str()]).unwrap();
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
        assert!(MountOptions::parse(["idmap=uids=0-1-2"]).is_err());
    }
}
