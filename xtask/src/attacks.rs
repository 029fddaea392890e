//! `cargo xtask attacks`: the attack suite, on this or any other runtime.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use anyhow::{Context, ensure};
use lexopt::{Arg, ValueExt};

use crate::{Command, build, host, packages, setup, test, workspace};

pub const COMMAND: Command = Command {
    name: "attacks",
    about: "Attacks this or any other runtime, and says what it withstands.",
    help: "
usage: cargo xtask attacks [--runtime FILE]... [--thorough] [--rounds N] [--report FILE] [FILTER]

Runs tests/attacks, as root, on the command that is built here, or on each runtime that is named; any with
runc's command line will do. Prints a table: an attack is repelled, or not applicable where a runtime cannot do
the same without the attack either; else the runtime is broken. Nothing outside of a test's own directory and
namespaces is attacked.

  --runtime FILE  a runtime, as /usr/sbin/runc
  --thorough      20000 rounds of each race, which takes more than an hour
  --rounds N      so many rounds of each race
  --report FILE   the table, as Markdown
  FILTER          only tests with this in their names
",
    run,
};

/// As many as were asked of a race that has been found to be won by none.
const THOROUGH: u32 = 20_000;

/// What was asked for.
#[derive(Default)]
struct Options {
    runtimes: Vec<PathBuf>,
    rounds: Option<u32>,
    report: Option<PathBuf>,
    filter: Option<String>,
}

/// How one runtime stood it.
struct Column {
    name: String,
    verdicts: BTreeMap<String, Verdict>,
}

#[derive(Clone, PartialEq, Eq)]
enum Verdict {
    Repelled,
    NotApplicable(String),
    Broken(String),
}

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let mut options = Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("runtime") => options.runtimes.push(PathBuf::from(args.value()?)),
            Arg::Long("thorough") => options.rounds = Some(THOROUGH),
            Arg::Long("rounds") => options.rounds = Some(args.value()?.parse()?),
            Arg::Long("report") => options.report = Some(PathBuf::from(args.value()?)),
            Arg::Value(filter) if options.filter.is_none() => {
                options.filter = Some(filter.string()?)
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    setup::add_rust_target()?;
    packages::ensure(packages::TESTS)?;
    if options.runtimes.is_empty() {
        options.runtimes.push(build::coracle()?);
    }
    let suite = test::attacks()?;
    let attacked = options.runtimes.iter().map(|runtime| attack(&suite, runtime, &options));
    let columns = attacked.collect::<anyhow::Result<Vec<_>>>()?;
    let table = table(&columns);
    println!("{table}");
    if let Some(path) = &options.report {
        fs::write(path, &table).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let broken = columns.iter().flat_map(|column| column.verdicts.values());
    let broken = broken.filter(|verdict| matches!(verdict, Verdict::Broken(_))).count();
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn attack(suite: &Path, runtime: &Path, options: &Options) -> anyhow::Result<Column> {
    let version = host::stdout(process::Command::new(runtime).arg("--version"))?;
    let name = version.lines().next().unwrap_or_default().replace(" version", "");
    eprintln!("xtask: attacking {name}");
    let ours = runtime.file_name().is_some_and(|name| name == "coracle");
    let variable = if ours { "CORACLE_BIN" } else { "CORACLE_TEST_RUNTIME" };
    let mut command = process::Command::new(suite);
    command.args(&options.filter).env(variable, runtime).current_dir(workspace::root());
    command.envs(options.rounds.map(|rounds| ("CORACLE_TEST_ROUNDS", rounds.to_string())));
    let output = command.output().context("cannot run the attacks")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let verdicts = verdicts(&text);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!verdicts.is_empty(), "the attacks did not come to an end:\n{text}\n{errors}");
    Ok(Column { name, verdicts })
}

/// What the suite said of each attack.
fn verdicts(text: &str) -> BTreeMap<String, Verdict> {
    let line = |line: &str| {
        let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let name = name.trim();
        let verdict = match result.trim() {
            "ok" => Verdict::Repelled,
            "FAILED" => Verdict::Broken(first_words(text, name)),
            _ => Verdict::NotApplicable(reason(text, name)),
        };
        Some((name.to_owned(), verdict))
    };
    text.lines().filter_map(line).collect()
}

/// The first lines of what a failed test said.
fn first_words(text: &str, name: &str) -> String {
    let (_, said) = text.split_once(&format!("---- {name} ----\n")).unwrap_or_default();
    let said = said.split("\n\n").next().unwrap_or_default();
    said.lines().take(8).collect::<Vec<_>>().join(" ")
}

fn reason(text: &str, name: &str) -> String {
    let start = format!("SKIPPED {name}: ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_default().to_owned()
}

fn table(columns: &[Column]) -> String {
    let mut text = String::from("| attack |");
    for column in columns {
        write!(text, " {} |", column.name).unwrap_or_default();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(columns.len()));
    let mut notes = Vec::new();
    let Some(first) = columns.first() else { return text };
    for attack in first.verdicts.keys() {
        write!(text, "\n| {} |", attack.replace("::", ": ").replace('_', " ")).unwrap_or_default();
        for column in columns {
            let shown = match column.verdicts.get(attack) {
                Some(Verdict::Repelled) => "repelled".to_owned(),
                Some(Verdict::NotApplicable(why)) => noted("not applicable", why, &mut notes),
                Some(Verdict::Broken(how)) => noted("**BROKEN**", how, &mut notes),
                None => "did not end".to_owned(),
            };
            write!(text, " {shown} |").unwrap_or_default();
        }
    }
    text.push('\n');
    for (number, note) in (1..).zip(notes) {
        write!(text, "\n{number}. {note}").unwrap_or_default();
    }
    text
}

/// A word with the number of its explanation.
fn noted(word: &str, note: &str, notes: &mut Vec<String>) -> String {
    let number = notes.iter().position(|other| other == note).unwrap_or_else(|| {
        notes.push(note.to_owned());
        notes.len() - 1
    });
    format!("{word} ({})", number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 3 tests
test a::one_of_them   ... ok
test a::two ... FAILED
test b::three         ... ignored
SKIPPED b::three: it has none

failures:

---- a::two ----
it was seen
by all

more
";

    #[test]
    fn the_table_says_why() {
        let column = Column { name: "x 1.0".into(), verdicts: verdicts(OUTPUT) };
        let expected = "| attack | x 1.0 |\n|---|---|\n| a: one of them | repelled |\n\
            | a: two | **BROKEN** (1) |\n| b: three | not applicable (2) |\n\
            \n1. it was seen by all\n2. it has none";
        assert_eq!(table(&[column]), expected);
    }
}
