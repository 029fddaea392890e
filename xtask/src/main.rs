//! The project's own commands: `cargo xtask NAME`.
//!
//! A command is a module with a [`Command`] constant, and a row in [`COMMANDS`].
#![forbid(unsafe_code)]

mod apt;
mod attacks;
mod bench;
mod build;
mod check;
mod demo;
mod enosys;
mod graph;
mod guest;
mod host;
mod lines;
mod packages;
mod setup;
mod soak;
mod tables;
mod test;
mod undefended;
mod workspace;

use std::ffi::OsStr;
use std::process::ExitCode;

use lexopt::Arg;

/// A sub-command.
struct Command {
    /// What is typed after `cargo xtask`.
    name: &'static str,
    /// One sentence for the list of commands.
    about: &'static str,
    /// What `cargo xtask NAME --help` prints below the sentence.
    help: &'static str,
    /// Gets the arguments after the name.
    run: fn(lexopt::Parser) -> anyhow::Result<ExitCode>,
}

const COMMANDS: &[Command] = &[
    attacks::COMMAND,
    bench::COMMAND,
    check::COMMAND,
    demo::COMMAND,
    enosys::COMMAND,
    graph::COMMAND,
    guest::COMMAND,
    lines::COMMAND,
    setup::COMMAND,
    soak::COMMAND,
    tables::COMMAND,
    test::COMMAND,
    undefended::COMMAND,
];

fn main() -> ExitCode {
    match dispatch(lexopt::Parser::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let name = match args.next()? {
        None | Some(Arg::Long("help") | Arg::Short('h')) => {
            print_commands();
            return Ok(ExitCode::SUCCESS);
        }
        Some(Arg::Value(name)) => name,
        Some(other) => return Err(other.unexpected().into()),
    };
    let Some(command) = COMMANDS.iter().find(|command| name == command.name) else {
        anyhow::bail!("no command {name:?}; `cargo xtask` lists them");
    };
    if asks_for_help(&mut args) {
        println!("{}\n\n{}", command.about, command.help.trim());
        return Ok(ExitCode::SUCCESS);
    }
    (command.run)(args)
}

fn asks_for_help(args: &mut lexopt::Parser) -> bool {
    let first = args.try_raw_args();
    let first = first.as_ref().and_then(|rest| rest.peek());
    first.is_some_and(|arg| arg == OsStr::new("--help") || arg == OsStr::new("-h"))
}

fn print_commands() {
    println!("usage: cargo xtask COMMAND [ARGUMENTS]\n");
    let width = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or(0);
    for Command { name, about, .. } in COMMANDS {
        println!("  {name:width$}  {about}");
    }
    println!("\n`cargo xtask COMMAND --help` says more.");
}
