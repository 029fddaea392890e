//! Every command and flag: what parsing, help, completions and manual pages are made from.

mod commands;
mod flags;

use std::ops::RangeInclusive;
use std::process::ExitCode;

use crate::error::Result;
use crate::log::Log;
use crate::parse::Invocation;

pub use commands::COMMANDS;
pub use flags::GLOBALS;

/// A command.
#[derive(Debug)]
pub struct Command {
    /// What is typed.
    pub name: &'static str,
    /// Its arguments, for the usage line.
    pub usage: &'static str,
    /// How many arguments it takes.
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
    /// What its value is called; nothing for a switch.
    pub value: Option<&'static str>,
    /// What it does, in a sentence.
    pub about: &'static str,
}
