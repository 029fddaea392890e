//! What can follow on a command line that is being typed, by the table.
//!
//! The shells know little: their scripts ask the command itself with `coracle completion SHELL WORD...`.

mod shell;

use std::ffi::{OsStr, OsString};

use coracle::{Signal, Store};

use crate::table::{COMMANDS, Command, Flag, GLOBALS, Kind};

pub use shell::Shell;

/// What can stand in the place of the last word.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// One of these, each with a sentence or less about it.
    Words(Vec<(String, String)>),
    /// A file.
    Files,
    /// A directory.
    Directories,
}

impl Answer {
    /// What can follow `words`, which are what was typed after the program's name; the last one may be
    /// incomplete or empty.
    pub fn to(words: &[OsString]) -> Self {
        let Some((last, before)) = words.split_last() else { return Self::Words(Vec::new()) };
        let mut line = Line::default();
        before.iter().for_each(|word| line.read(word));
        line.complete(&last.to_string_lossy())
    }
}

/// What was typed so far.
#[derive(Debug, Default)]
struct Line {
    command: Option<&'static Command>,
    /// The command is none of ours, or a flag is.
    unknown: bool,
    arguments: usize,
    /// The flag whose value comes next.
    pending: Option<&'static Flag>,
    /// After `--`, or what is for another program.
    no_more_flags: bool,
    root: Option<OsString>,
}

impl Line {
    fn read(&mut self, word: &OsStr) {
        if let Some(flag) = self.pending.take() {
            return self.set(flag, word);
        }
        let text = word.to_string_lossy();
        match text.as_ref() {
            text if self.no_more_flags => self.add_argument(text),
            "--" => self.no_more_flags = true,
            text if text.starts_with("--") => self.read_long(text),
            text if text.starts_with('-') && text.len() > 1 => self.read_short(&text[1..]),
            text => self.add_argument(text),
        }
    }

    fn add_argument(&mut self, text: &str) {
        let Some(command) = self.command else {
            self.command = COMMANDS.iter().find(|command| command.name == text);
            self.unknown |= self.command.is_none();
            return;
        };
        self.arguments += 1;
        self.no_more_flags |= command.passes_on();
    }

    fn read_long(&mut self, text: &str) {
        let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
        let found = self.flags().iter().find(|flag| flag.long == &name[2..]);
        match (found, value) {
            (None, _) => self.unknown = true,
            (Some(flag), Some(value)) => self.set(flag, value.as_ref()),
            (Some(flag), None) => self.pending = flag.value.map(|_| flag),
        }
    }

    /// Letters of switches, and at the end perhaps one of a flag with its value.
    fn read_short(&mut self, letters: &str) {
        for (index, letter) in letters.char_indices() {
            match self.flags().iter().find(|flag| flag.short == Some(letter)) {
                None => self.unknown = true,
                Some(flag) if flag.value.is_some() => {
                    let rest = &letters[index + letter.len_utf8()..];
                    self.pending = Some(flag).filter(|_| rest.is_empty());
                    return;
                }
                Some(_) => {}
            }
        }
    }

    fn set(&mut self, flag: &Flag, value: &OsStr) {
        if flag.long == "root" {
            self.root = Some(value.to_owned());
        }
    }

    /// The flags that can stand here.
    fn flags(&self) -> &'static [Flag] {
        self.command.map_or(GLOBALS, |command| command.flags)
    }

    fn complete(&self, last: &str) -> Answer {
        if self.unknown {
            return Answer::Words(Vec::new());
        }
        if let Some(flag) = self.pending {
            return self.values(kind(flag), "", last);
        }
        if last.starts_with('-') && !self.no_more_flags {
            return self.complete_flag(last);
        }
        match self.command {
            None => commands(last),
            Some(command) => self.values(command.argument(self.arguments), "", last),
        }
    }

    fn complete_flag(&self, last: &str) -> Answer {
        if let Some((name, value)) = last.split_once('=') {
            let found = self.flags().iter().find(|flag| format!("--{}", flag.long) == name);
            let kind = found.map_or(Kind::Free, kind);
            return self.values(kind, &format!("{name}="), value);
        }
        let long = self.flags().iter().map(|flag| (format!("--{}", flag.long), flag.about));
        beginning_with(last, long)
    }

    /// The values of a kind that begin with `typed`, each after `prefix`.
    fn values(&self, kind: Kind, prefix: &str, typed: &str) -> Answer {
        let with_prefix = |value: String| format!("{prefix}{value}");
        let typed = format!("{prefix}{typed}");
        match kind {
            Kind::File => Answer::Files,
            Kind::Directory => Answer::Directories,
            Kind::Free => Answer::Words(Vec::new()),
            Kind::Command => commands(&typed),
            Kind::Choice(_) => {
                beginning_with(&typed, kind.choices().map(|word| (with_prefix(word.into()), "")))
            }
            Kind::Signal => {
                let sig = if typed.starts_with("SIG") { "SIG" } else { "" };
                beginning_with(&typed, signals().map(|name| (format!("{sig}{name}"), "")))
            }
            Kind::Container => beginning_with(&typed, self.containers()),
        }
    }

    /// The containers and what they are doing; none if they cannot be read.
    fn containers(&self) -> impl Iterator<Item = (String, String)> {
        let store = self.root.clone().map_or_else(Store::open_default, |root| Ok(Store::new(root)));
        let listed = store.and_then(|store| store.list()).unwrap_or_default();
        listed.into_iter().flatten().map(|container| {
            let status = container.status().map(|status| status.to_string());
            (container.id().to_owned(), status.unwrap_or_default())
        })
    }
}

fn kind(flag: &'static Flag) -> Kind {
    flag.value.map_or(Kind::Free, Kind::of)
}

fn commands(typed: &str) -> Answer {
    beginning_with(typed, COMMANDS.iter().map(|command| (command.name.to_owned(), command.about)))
}

/// The names of the signals that are no real-time signals, without `SIG`.
fn signals() -> impl Iterator<Item = String> {
    let names = (1..=31).filter_map(|number| Signal::new(number).ok()).map(|it| it.to_string());
    names.filter_map(|name| name.strip_prefix("SIG").map(str::to_owned))
}

fn beginning_with(typed: &str, all: impl Iterator<Item = (String, impl Into<String>)>) -> Answer {
    let found = all.filter(|(word, _)| word.starts_with(typed));
    Answer::Words(found.map(|(word, about)| (word, about.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(words: &[&str]) -> Answer {
        Answer::to(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn words(words: &[&str]) -> Vec<String> {
        match to(words) {
            Answer::Words(found) => found.into_iter().map(|(word, _)| word).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_and_flags() {
        assert_eq!(words(&[""]).len(), COMMANDS.len());
        assert_eq!(words(&["fea"]), ["features"]);
        assert_eq!(words(&["--log"]), ["--log", "--log-format"]);
        assert_eq!(words(&["--debug", "res"]), ["resume"]);
        assert_eq!(words(&["list", "--"]), ["--format", "--quiet", "--help"]);
        assert_eq!(words(&["list", "-q", "--f"]), ["--format"]);
        let Answer::Words(found) = to(&["del"]) else { panic!("no words") };
        assert_eq!(found[0].1, "delete a container that has ended");
    }

    #[test]
    fn values_of_flags() {
        assert_eq!(words(&["list", "--format", ""]), ["table", "json"]);
        assert_eq!(words(&["list", "-f", "j"]), ["json"]);
        assert_eq!(words(&["list", "-qf", ""]), ["table", "json"]);
        assert_eq!(words(&["list", "--format=t"]), ["--format=table"]);
        assert_eq!(words(&["--rootless", "a"]), ["auto"]);
        assert_eq!(to(&["run", "--bundle", "/x"]), Answer::Directories);
        assert_eq!(to(&["run", "--bundle="]), Answer::Directories);
        assert_eq!(to(&["run", "--pid-file", ""]), Answer::Files);
        assert_eq!(words(&["run", "--preserve-fds", ""]), [""; 0]);
        // A value is not taken for a command, nor a command for a value.
        assert_eq!(words(&["--log-format", "json", "fea"]), ["features"]);
        assert_eq!(words(&["--log-format=json", "fea"]), ["features"]);
    }

    #[test]
    fn arguments() {
        assert_eq!(words(&["kill", "x", "US"]), ["USR1", "USR2"]);
        assert_eq!(words(&["kill", "x", "SIGH"]), ["SIGHUP"]);
        assert_eq!(words(&["kill", "--all", "x", "TER"]), ["TERM"]);
        assert_eq!(words(&["kill", "x", "TERM", ""]), [""; 0]);
        assert_eq!(words(&["run", ""]), [""; 0]);
    }

    #[test]
    fn nothing_follows_what_is_not_known() {
        for unknown in [&["nosuch", ""][..], &["--nosuch", ""], &["list", "-x", "-"], &[]] {
            assert_eq!(words(unknown), [""; 0], "{unknown:?}");
        }
    }

    #[test]
    fn no_flags_of_ours_where_another_program_has_its_own() {
        assert_eq!(words(&["ps", "-"]), ["--format", "--help"]);
        assert_eq!(words(&["ps", "x", "-"]), [""; 0]);
        assert_eq!(words(&["state", "--", "-"]), [""; 0]);
    }
}
