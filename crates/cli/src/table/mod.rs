//! Every command and flag: what parsing, help, completions and manual pages are made from.

mod commands;
mod flags;
mod kind;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::process::ExitCode;

use crate::error::Result;
use crate::exit_code;
use crate::log::Log;
use crate::parse::Invocation;

pub use commands::COMMANDS;
pub use flags::GLOBALS;
pub use kind::Kind;

/// A command.
#[derive(Debug)]
pub struct Command {
    /// What is typed.
    pub name: &'static str,
    /// Its arguments, for the usage line; see [`Kind`].
    pub usage: &'static str,
    /// How many arguments it takes. With `usize::MAX`, all that follows the first one is for another
    /// program, flags too; unless they are all containers.
    pub positional: RangeInclusive<usize>,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its flags.
    pub flags: &'static [Flag],
    /// Does it.
    pub run: fn(&Invocation, &Log) -> Result<ExitCode>,
}

/// A flag.
#[derive(Debug)]
pub struct Flag {
    /// Its name, without dashes.
    pub long: &'static str,
    /// Its one-letter name.
    pub short: Option<char>,
    /// What its value is called; nothing for a switch. See [`Kind`].
    pub value: Option<&'static str>,
    /// What it does, in a sentence.
    pub about: &'static str,
}

impl Command {
    /// The exit code of its failures. For `exec` they must be told from what the program there returns.
    pub fn failure(&self) -> u8 {
        if self.name == "exec" { exit_code::EXEC_FAILURE } else { exit_code::FAILURE }
    }

    /// Is what follows its first argument for another program?
    pub fn passes_on(&self) -> bool {
        *self.positional.end() == usize::MAX && self.argument(usize::MAX) != Kind::Container
    }

    /// What its argument number `index` is. The last word may stand for any number of them.
    pub fn argument(&self, index: usize) -> Kind {
        let word = self.usage.split(' ').nth(index);
        let repeated = || self.usage.split(' ').next_back().filter(|word| word.contains("..."));
        let word = word.or_else(repeated).unwrap_or_default();
        Kind::of(word.trim_matches(['[', ']', '.']))
    }
}
