//! The log: lines in the forms that engines parse.
//!
//! With `--log` they go to a file, and the error also to standard error as it is; without, standard error
//! gets what a person wants to read, or JSON if that is asked for.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use serde_json::json;

use crate::error::{Failure, Result};
use crate::parse::Values;

/// Where messages go.
#[derive(Debug, Default)]
pub struct Log {
    file: Option<File>,
    json: bool,
    debug: bool,
}

impl Log {
    /// The log that the global flags ask for.
    pub fn open(globals: &Values) -> Result<Self> {
        let json = globals.text("log-format")? == Some("json");
        let open = |path: &str| {
            let options = OpenOptions::new().create(true).append(true).mode(0o644).open(path);
            options.map_err(|error| Failure::new(format!("cannot open the log {path}: {error}")))
        };
        let path = globals.text("log")?.filter(|path| !path.is_empty());
        Ok(Self { file: path.map(open).transpose()?, json, debug: globals.is_set("debug") })
    }

    /// What failed.
    pub fn error(&self, message: &str) {
        self.write("error", message);
        if self.file.is_some() {
            eprintln!("{}", readable(message));
        }
    }

    /// What the user should know.
    pub fn warning(&self, message: &str) {
        self.write("warning", message);
    }

    /// What helps to find a fault, with `--debug`.
    pub fn debug(&self, message: &str) {
        if self.debug {
            self.write("debug", message);
        }
    }

    fn write(&self, level: &str, message: &str) {
        let line = match &self.file {
            None if !self.json => match level {
                "error" => format!("coracle: {}\n", readable(message)),
                level => format!("coracle: {level}: {}\n", readable(message)),
            },
            _ => self.line(level, message),
        };
        // A log that cannot be written must not stop a container.
        match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()).unwrap_or_default(),
            None => std::io::stderr().write_all(line.as_bytes()).unwrap_or_default(),
        }
    }

    fn line(&self, level: &str, message: &str) -> String {
        let time = coracle::now();
        if self.json {
            format!("{}\n", json!({"level": level, "msg": message, "time": time}))
        } else {
            format!("time={time:?} level={level} msg={message:?}\n")
        }
    }
}

/// A message for a terminal. Texts of a configuration may be in it: they can neither drive the terminal nor
/// begin a line that looks like another message.
fn readable(message: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.into() };
    let mut lines = message.split('\n').map(|line| line.chars().map(escape).collect::<String>());
    let first = lines.next().unwrap_or_default();
    let indent = |line: String| if line.starts_with("  ") { line } else { format!("  {line}") };
    lines.map(indent).fold(first, |text, line| text + "\n" + &line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_what_they_are() {
        assert_eq!(readable("cannot open /a: ENOENT"), "cannot open /a: ENOENT");
        assert_eq!(
            readable("2 problems:\n  /a: is ä\n  /b: is b"),
            "2 problems:\n  /a: is ä\n  /b: is b"
        );
        assert_eq!(
            readable("\u{1b}[31m\r\ncoracle: fine\n"),
            "\\u{1b}[31m\\r\n  coracle: fine\n  "
        );
    }
}
