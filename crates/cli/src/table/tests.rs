//! Whether the table is complete: help, completions and manual pages are made from it.

use std::collections::BTreeSet;

use super::*;

/// A sentence as the others are: it goes on in lower case after the name, and has no full stop.
fn is_sentence(about: &str) -> bool {
    let first = about.split(' ').next().unwrap_or_default();
    let begins = first.chars().next().is_some_and(char::is_lowercase) || first.contains('/');
    begins && about.contains(' ') && !about.ends_with('.') && about.len() <= 100
}

#[test]
fn every_command_and_flag_has_a_sentence() {
    for command in COMMANDS {
        assert!(is_sentence(command.about), "{}: {:?}", command.name, command.about);
    }
    for (name, flags) in all_flags() {
        for flag in flags {
            assert!(is_sentence(flag.about), "{name} --{}: {:?}", flag.long, flag.about);
        }
        assert!(flags.iter().any(|flag| flag.long == "help"), "{name} has no --help");
    }
}

#[test]
fn no_name_stands_for_two_things() {
    let names: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
    assert_eq!(names.len(), COMMANDS.len());
    for (name, flags) in all_flags() {
        let long: BTreeSet<_> = flags.iter().map(|flag| flag.long).collect();
        assert_eq!(long.len(), flags.len(), "{name}");
        let short: Vec<_> = flags.iter().filter_map(|flag| flag.short).collect();
        assert_eq!(short.iter().collect::<BTreeSet<_>>().len(), short.len(), "{name}");
    }
}

#[test]
fn usage_lines_show_how_many_arguments_there_are() {
    for command in COMMANDS {
        let words: Vec<_> = command.usage.split(' ').filter(|word| !word.is_empty()).collect();
        let least = words.iter().filter(|word| !word.starts_with('[')).count();
        let most = if command.usage.contains("...") { usize::MAX } else { words.len() };
        assert_eq!(command.positional, least..=most, "{} {}", command.name, command.usage);
    }
}

#[test]
fn words_stand_for_kinds() {
    let kinds = ["ID", "SIGNAL", "N"].map(Kind::of);
    assert_eq!(kinds, [Kind::Container, Kind::Signal, Kind::Free]);
    assert_eq!(Kind::of("table|json").choices().collect::<Vec<_>>(), ["table", "json"]);
    assert_eq!(Kind::of("DIR").choices().count(), 0);
}

fn all_flags() -> impl Iterator<Item = (&'static str, &'static [Flag])> {
    let commands = COMMANDS.iter().map(|command| (command.name, command.flags));
    commands.chain([("coracle", GLOBALS)])
}
