//! From the command line to a command with its values, by the table.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use coracle_sys::fd::{duplicate, is_open};

use crate::error::{Failure, Result};
use crate::exit_code;
use crate::help;
use crate::log::Log;
use crate::table::{COMMANDS, Command, Flag, GLOBALS, Kind};

/// What was typed.
#[derive(Debug)]
pub struct Invocation {
    /// The command.
    pub command: &'static Command,
    /// The flags before it.
    pub globals: Values,
    /// The flags after it.
    pub flags: Values,
    /// What is no flag.
    pub positional: Vec<OsString>,
    /// Descriptors for the container: copied before anything else is opened, which could get their numbers.
    pub passed_on: PassedOn,
}

/// Flags and their values; of a flag given twice the last value counts, unless it is read as a list.
#[derive(Debug, Default)]
pub struct Values(BTreeMap<&'static str, Vec<OsString>>);

/// Why there is nothing to run.
#[derive(Debug)]
pub enum Refusal {
    /// Help or the version was asked for: text for standard output.
    Text(String),
    /// The command line is wrong.
    Failure(Failure),
}

impl Refusal {
    /// Prints it and turns it into the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            // A reader that has seen enough is no failure.
            Self::Text(text) => std::io::stdout().write_all(text.as_bytes()).unwrap_or_default(),
            Self::Failure(failure) => return failure.report(&Log::default()),
        }
        ExitCode::SUCCESS
    }
}

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(failure: E) -> Self {
        Self::Failure(failure.into())
    }
}

impl Invocation {
    /// Reads the command line (without the program's name).
    pub fn parse(args: Vec<OsString>) -> Result<Self, Refusal> {
        let mut parser = lexopt::Parser::from_args(args);
        let mut globals = Values::default();
        let command = loop {
            match next(&mut parser, GLOBALS)? {
                Some(Token::Flag(flag, value)) => globals.add(flag, value),
                Some(Token::Positional(name)) if name == "help" => return Err(about(&mut parser)?),
                Some(Token::Positional(name)) => break find_command(&name)?,
                None => return Err(Refusal::Text(help::overview())),
            }
            if globals.is_set("help") {
                return Err(Refusal::Text(help::overview()));
            }
            if globals.is_set("version") {
                return Err(Refusal::Text(help::version()));
            }
        };
        let mut flags = Values::default();
        let mut positional = Vec::new();
        while let Some(token) = next(&mut parser, command.flags)? {
            match token {
                Token::Flag(flag, value) => flags.add(flag, value),
                Token::Positional(text) => positional.push(text),
            }
            if command.passes_on() && !positional.is_empty() {
                positional.extend(rest(&mut parser)?);
            }
        }
        if flags.is_set("help") {
            return Err(Refusal::Text(help::of(command)));
        }
        if !command.positional.contains(&positional.len()) {
            let message = format!("usage: coracle {} [flags] {}", command.name, command.usage);
            return Err(Failure::new(message).into());
        }
        let passed_on = PassedOn::take(command, &flags)
            .map_err(|failure| failure.with_code(command.failure()))?;
        Ok(Self { command, globals, flags, positional, passed_on })
    }

    /// The positional argument number `index`, as text.
    pub fn argument(&self, index: usize) -> Result<Option<&str>> {
        self.positional.get(index).map(|text| utf8(text)).transpose()
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.command.name, self.flags.0, self.positional)
    }
}

impl Values {
    fn add(&mut self, flag: &Flag, value: OsString) {
        self.0.entry(flag.long).or_default().push(value);
    }

    /// Is the switch on?
    pub fn is_set(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| value != OsStr::new("false"))
    }

    /// The value of a flag as text.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        self.last(name).map(utf8).transpose()
    }

    /// All values of a flag that may be given several times, as text.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>> {
        self.0.get(name).into_iter().flatten().map(|text| utf8(text)).collect()
    }

    /// The value of a flag as a path or anything else.
    pub fn last(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name)?.last().map(OsString::as_os_str)
    }
}

fn utf8(text: &OsStr) -> Result<&str> {
    text.to_str().ok_or_else(|| Failure::new(format!("{text:?} is not UTF-8")))
}

/// Descriptors that are passed on to a container.
#[derive(Debug, Default)]
pub struct PassedOn {
    /// Sockets that the service manager of the host already listens on.
    pub sockets: Vec<OwnedFd>,
    /// Those of `--preserve-fds`.
    pub preserved: Vec<OwnedFd>,
}

impl PassedOn {
    /// As in runc, the sockets come first, and `--preserve-fds` counts those after them.
    fn take(command: &Command, flags: &Values) -> Result<Self> {
        let takes_sockets = matches!(command.name, "run" | "create");
        let sockets = if takes_sockets { listen_fds()? } else { 0 };
        let preserved = match flags.text("preserve-fds")? {
            None => 0,
            Some(text) => count("--preserve-fds", text)?,
        };
        let end = 3 + sockets + preserved;
        // Of all, before the first copy takes the number of one that is missing.
        if let Some(missing) = (3..end).find(|number| !is_open(*number)) {
            let flag = if missing < 3 + sockets { "LISTEN_FDS" } else { "--preserve-fds" };
            return Err(Failure::new(format!("{flag}: there is no open descriptor {missing}")));
        }
        let copies = |range: std::ops::Range<i32>| range.map(duplicate).collect::<Result<_, _>>();
        Ok(Self { sockets: copies(3..3 + sockets)?, preserved: copies(3 + sockets..end)? })
    }
}

/// How many sockets the service manager has opened for this very process; see sd_listen_fds(3).
fn listen_fds() -> Result<i32> {
    let variable = |name| std::env::var(name).ok();
    let mine = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    variable("LISTEN_FDS").filter(|_| mine).map_or(Ok(0), |text| count("LISTEN_FDS", &text))
}

fn count(what: &str, text: &str) -> Result<i32> {
    let wrong = || Failure::new(format!("{what} {text:?}: give a number up to 1024"));
    text.parse().ok().filter(|count| (0..=1024).contains(count)).ok_or_else(wrong)
}

/// A piece of the command line.
enum Token {
    Flag(&'static Flag, OsString),
    Positional(OsString),
}

fn next(parser: &mut lexopt::Parser, flags: &'static [Flag]) -> Result<Option<Token>, Refusal> {
    let (found, typed) = match parser.next()? {
        None => return Ok(None),
        Some(lexopt::Arg::Value(value)) => return Ok(Some(Token::Positional(value))),
        Some(lexopt::Arg::Long(name)) => {
            (flags.iter().find(|flag| flag.long == name), format!("--{name}"))
        }
        Some(lexopt::Arg::Short(name)) => {
            (flags.iter().find(|flag| flag.short == Some(name)), format!("-{name}"))
        }
    };
    let Some(flag) = found else { return Err(unknown_flag(&typed, flags).into()) };
    let value = match flag.value {
        Some(kind) => one_of(flag, Kind::of(kind), parser.value()?)?,
        None => match parser.optional_value() {
            None => OsString::from("true"),
            Some(value) if value == "true" || value == "false" => value,
            Some(value) => {
                let message =
                    format!("--{} is a switch: {value:?} is neither true nor false", flag.long);
                return Err(Failure::new(message).into());
            }
        },
    };
    Ok(Some(Token::Flag(flag, value)))
}

/// `help COMMAND`, or `help` alone.
fn about(parser: &mut lexopt::Parser) -> Result<Refusal> {
    Ok(Refusal::Text(match parser.next()? {
        Some(lexopt::Arg::Value(name)) => help::of(find_command(&name)?),
        _ => help::overview(),
    }))
}

/// What is for another program, as it is; a `--` before it is ours.
fn rest(parser: &mut lexopt::Parser) -> Result<impl Iterator<Item = OsString>> {
    let mut args = parser.raw_args()?.peekable();
    args.next_if(|first| first == "--");
    Ok(args)
}

/// The value, if the flag can have it.
fn one_of(flag: &Flag, kind: Kind, value: OsString) -> Result<OsString> {
    let choices: Vec<_> = kind.choices().collect();
    let Some((last, others)) = choices.split_last() else { return Ok(value) };
    if choices.iter().any(|choice| value == *choice) {
        return Ok(value);
    }
    let others = others.join(", ");
    Err(Failure::new(format!("unknown --{} {value:?}: give {others} or {last}", flag.long)))
}

/// The command with this name.
pub fn find_command(name: &OsStr) -> Result<&'static Command> {
    let found = COMMANDS.iter().find(|command| OsStr::new(command.name) == name);
    found.ok_or_else(|| {
        let typed = name.to_string_lossy();
        let names = COMMANDS.iter().map(|command| command.name);
        let message = format!("unknown command {typed:?}{}", suggestion(&typed, names));
        Failure::new(message).with_code(exit_code::UNKNOWN_COMMAND)
    })
}

fn unknown_flag(typed: &str, flags: &[Flag]) -> Failure {
    let names = flags.iter().map(|flag| flag.long);
    let suggestion = suggestion(typed.trim_start_matches('-'), names).replace("mean ", "mean --");
    Failure::new(format!("unknown flag {typed}{suggestion}"))
}

/// What is spelt most alike, if anything is.
fn suggestion<'name>(typed: &str, names: impl Iterator<Item = &'name str>) -> String {
    let likeness = |name: &str| strsim::jaro_winkler(typed, name);
    let best = names.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match best.filter(|best| likeness(best) > 0.75) {
        Some(best) => format!(": did you mean {best}?"),
        None => ": see coracle --help".to_owned(),
    }
}
