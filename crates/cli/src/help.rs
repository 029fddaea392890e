//! Help and version, from the table.

use std::fmt::Write;

use coracle_spec::OCI_VERSION;

use crate::table::{COMMANDS, Command, Flag, GLOBALS};

/// `coracle --version`, in the lines that engines parse.
pub fn version() -> String {
    let commit = option_env!("CORACLE_COMMIT").map(|commit| format!("commit: {commit}\n"));
    let version = env!("CARGO_PKG_VERSION");
    format!("coracle version {version}\n{}spec: {OCI_VERSION}\n", commit.unwrap_or_default())
}

/// `coracle --help`.
pub fn overview() -> String {
    let mut text = String::from(
        "coracle runs Linux containers from OCI bundles\n\n\
         usage: coracle [global flags] COMMAND [flags] [arguments]\n\ncommands:\n",
    );
    for command in COMMANDS {
        line(&mut text, command.name, command.about);
    }
    text.push_str("\nglobal flags:\n");
    flags(&mut text, GLOBALS);
    text.push_str("\ncoracle COMMAND --help tells more about each.\n");
    text
}

/// `coracle COMMAND --help`.
pub fn of(command: &Command) -> String {
    let Command { name, usage, about, .. } = command;
    let mut text = format!("{about}\n\nusage: coracle {name} [flags] {usage}\n\nflags:\n");
    flags(&mut text, command.flags);
    text
}

fn flags(text: &mut String, flags: &[Flag]) {
    for flag in flags {
        let short = flag.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
        line(text, &format!("{short}--{}{value}", flag.long), flag.about);
    }
}

fn line(text: &mut String, name: &str, about: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "  {name:<28} {about}").unwrap_or_default();
}
