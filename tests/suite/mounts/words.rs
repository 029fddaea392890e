//! Every word of `/mounts/*/options` that the runtime says it knows, and what the kernel makes of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use coracle_testkit::Verdict::Passed;
use coracle_testkit::{Bundle, Context, MountEntry, Result, Test, Verdict, check, need, tests};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

use super::{at, links, mounts_in, options, remount};

pub const TESTS: &[Test] = tests![every_word_does_what_it_says];

/// What a word is tried on, and what it does there.
enum Effect {
    /// A bind mount of something free: these flags are raised.
    Raises(&'static [&'static str]),
    /// A bind mount of something locked down: these flags are lowered.
    Lowers(&'static [&'static str]),
    /// A bind mount of something shared: how mountinfo begins to describe its propagation.
    Propagates(&'static str),
    /// A new tmpfs: what its driver shows.
    Configures(&'static [&'static str]),
    /// A new tmpfs: what its driver does not show, though this word before has asked for it.
    Undoes(&'static str),
    /// Another test is about it.
    Tested(&'static [Test], &'static str),
}
use Effect::{Configures, Lowers, Propagates, Raises, Tested, Undoes};

const FREE: [&str; 8] =
    ["ro", "nosuid", "nodev", "noexec", "noatime", "relatime", "nodiratime", "nosymfollow"];

/// The words; those that begin with `*` exist with an `r` before them, too, for the mounts below.
const ROWS: &[(&str, Effect)] = &[
    ("*ro", Raises(&["ro"])),
    ("*nosuid", Raises(&["nosuid"])),
    ("*nodev", Raises(&["nodev"])),
    ("*noexec", Raises(&["noexec"])),
    ("*nodiratime", Raises(&["nodiratime"])),
    ("*nosymfollow", Raises(&["nosymfollow"])),
    ("*noatime", Raises(&["noatime"])),
    ("*strictatime", Raises(&[])),
    ("*rw", Lowers(&["ro"])),
    ("*suid", Lowers(&["nosuid"])),
    ("*dev", Lowers(&["nodev"])),
    ("*exec", Lowers(&["noexec"])),
    ("*diratime", Lowers(&["nodiratime"])),
    ("*symfollow", Lowers(&["nosymfollow"])),
    ("*atime", Lowers(&["noatime"])),
    ("*relatime", Lowers(&["noatime"])),
    ("*norelatime", Lowers(&["noatime"])),
    ("*nostrictatime", Lowers(&["noatime"])),
    ("*private", Propagates("")),
    ("*slave", Propagates("master")),
    ("*shared", Propagates("shared")),
    ("*unbindable", Propagates("unbindable")),
    ("*bind", Tested(options::TESTS, "binds_one_mount_or_all_below")),
    ("nobind", Configures(&[])),
    ("norbind", Configures(&[])),
    ("defaults", Configures(&[])),
    ("loud", Configures(&[])),
    ("silent", Configures(&[])),
    ("sync", Configures(&["sync"])),
    ("async", Undoes("sync")),
    ("dirsync", Configures(&["dirsync"])),
    ("lazytime", Configures(&["lazytime"])),
    ("nolazytime", Undoes("lazytime")),
    // Linux 5.15 does no mandatory locking any more, and takes the word as before.
    ("mand", Configures(&["mand"])),
    ("nomand", Undoes("mand")),
    // No file system shows them.
    ("iversion", Configures(&[])),
    ("noiversion", Undoes("iversion")),
    ("acl", Configures(&[])),
    ("noacl", Undoes("acl")),
    ("tmpcopyup", Tested(options::TESTS, "copies_into_a_tmpfs")),
    ("idmap", Tested(super::idmap::TESTS, "maps_the_owners_of_files")),
    ("ridmap", Tested(super::idmap::TESTS, "maps_one_mount_or_all_below")),
    ("remount", Tested(remount::TESTS, "changes_one_mount_and_no_other")),
    ("copy-symlink", Tested(links::TESTS, "makes_a_link_like_the_source")),
    ("src-nofollow", Tested(links::TESTS, "mounts_a_link_itself")),
    ("dest-nofollow", Tested(links::TESTS, "covers_a_link")),
];

/// The row's words.
fn words(name: &str) -> Vec<String> {
    match name.strip_prefix('*') {
        Some(name) => vec![name.to_owned(), format!("r{name}")],
        None => vec![name.to_owned()],
    }
}

/// A tmpfs with another one below it, both with these flags and shared.
fn tree(path: &Path, flags: MountFlags) -> Result<()> {
    fs::create_dir(path)?;
    mount("tree", path, "tmpfs", MountFlags::empty(), None)?;
    fs::create_dir(path.join("below"))?;
    mount("below", path.join("below"), "tmpfs", MountFlags::empty(), None)?;
    for path in [&path.join("below"), path] {
        mount_change(path, MountPropagationFlags::SHARED)?;
        rustix::mount::mount_remount(path, MountFlags::BIND | flags, "")?;
    }
    Ok(())
}

fn every_word_does_what_it_says(t: &mut Context) -> Result<Verdict> {
    need!(t.is_coracle(), "others know other words");
    let (free, locked) = (t.path("free"), t.path("locked"));
    tree(&free, MountFlags::empty())?;
    let nosymfollow = MountFlags::from_bits_retain(0x100);
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let flags = flags | MountFlags::NOATIME | MountFlags::NODIRATIME;
    tree(&locked, flags | nosymfollow)?;
    let mut bundle = t.bundle()?;
    for (name, effect) in ROWS {
        for word in words(name) {
            bundle = with_mount(bundle, &word, effect, &[&free, &locked]);
        }
    }
    let mounts = mounts_in(t, bundle)?;
    for (name, effect) in ROWS {
        for word in words(name) {
            check_effect(&mounts, &word, effect)?;
        }
    }
    unmount(free, UnmountFlags::DETACH)?;
    unmount(locked, UnmountFlags::DETACH)?;
    has_a_row_for_each(t)
}

fn with_mount(bundle: Bundle, word: &str, effect: &Effect, [free, locked]: &[&Path; 2]) -> Bundle {
    let target = format!("/mnt/{word}");
    let bind = |bundle: Bundle, source: &Path| {
        bundle.mount(&target, "bind", &source.to_string_lossy(), &["rbind", word])
    };
    match effect {
        Raises(_) | Propagates(_) => bind(bundle, free),
        Lowers(_) => bind(bundle, locked),
        Configures(_) => bundle.mount(&target, "tmpfs", "tmpfs", &[word]),
        Undoes(before) => bundle.mount(&target, "tmpfs", "tmpfs", &[before, word]),
        Tested(..) => bundle,
    }
}

fn check_effect(mounts: &[MountEntry], word: &str, effect: &Effect) -> Result<()> {
    let target = format!("/mnt/{word}");
    let mut places = vec![target.clone()];
    // The one word of these that begins with an r itself.
    if word.starts_with('r') && !["ro", "rw", "relatime"].contains(&word) {
        places.push(format!("{target}/below"));
    }
    match effect {
        Tested(tests, name) => {
            check!(tests.iter().any(|(test, _)| test == name), "no test {name} for {word}");
        }
        Raises(flags) => {
            // relatime is what there is without another word.
            let time = !["noatime", "strictatime"].iter().any(|other| word.ends_with(other));
            for place in places {
                check_flags(at(mounts, &place)?, |flag| {
                    flags.contains(&flag) || flag == "relatime" && time
                })?;
            }
        }
        Lowers(flags) => {
            for place in places {
                check_flags(at(mounts, &place)?, |flag| match flag {
                    "relatime" => flags.contains(&"noatime"),
                    flag => !flags.contains(&flag),
                })?;
            }
        }
        Propagates(shown) => {
            for place in places {
                let entry = at(mounts, &place)?;
                let seen = entry.propagation.join(" ");
                check!(seen.starts_with(shown), "{word}: {entry:?}");
                check!(!shown.is_empty() || seen.is_empty(), "{word}: {entry:?}");
            }
        }
        Configures(shown) => {
            let entry = at(mounts, &target)?;
            check!(shown.iter().all(|it| entry.driver_has(it)), "{word}: {entry:?}");
        }
        Undoes(hidden) => {
            let entry = at(mounts, &target)?;
            check!(entry.fstype == "tmpfs" && !entry.driver_has(hidden), "{word}: {entry:?}");
        }
    }
    Ok(())
}

fn check_flags(entry: &MountEntry, expected: impl Fn(&str) -> bool) -> Result<()> {
    for flag in FREE {
        check!(entry.has(flag) == expected(flag), "{flag}: {entry:?}");
    }
    Ok(())
}

fn has_a_row_for_each(t: &Context) -> Result<Verdict> {
    let rows: BTreeSet<_> = ROWS.iter().flat_map(|(name, _)| words(name)).collect();
    let features = t.command().arg("features").succeed()?.json()?;
    let known = features["mountOptions"].as_array().into_iter().flatten();
    let known: BTreeSet<_> = known.filter_map(|word| word.as_str().map(str::to_owned)).collect();
    let differ: Vec<_> = rows.symmetric_difference(&known).collect();
    check!(differ.is_empty(), "a word without a row, or a row without its word: {differ:?}");
    Ok(Passed)
}
