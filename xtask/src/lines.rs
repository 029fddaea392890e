//! `cargo xtask lines`: the limit on a file's length.

use std::fs;
use std::path::Path;
use std::process::{self, ExitCode};

use anyhow::{Context, ensure};

use crate::{Command, workspace};

pub const COMMAND: Command = Command {
    name: "lines",
    about: "Checks that no Rust file is too long to read in one go.",
    help: "
usage: cargo xtask lines

The limit is 400 lines, counted up to a final `#[cfg(test)] mod`. Files of tests (`tests.rs`, or
below a directory `tests`) and the generated tables in crates/seccomp/src/table have none.
",
    run,
};

const LIMIT: usize = 400;
const GENERATED: &str = "crates/seccomp/src/table/";

fn run(mut args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    if let Some(arg) = args.next()? {
        return Err(arg.unexpected().into());
    }
    let mut too_long = false;
    for file in rust_files()? {
        let path = workspace::root().join(&file);
        // Git lists a file that is deleted but not yet committed.
        if is_exempt(&file) || !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        let lines = lines_before_tests(&text);
        if lines > LIMIT {
            println!("{file}: {lines} lines without its tests, {LIMIT} are allowed");
            too_long = true;
        }
    }
    Ok(if too_long { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The Rust files that Git knows or would add, relative to the workspace.
fn rust_files() -> anyhow::Result<Vec<String>> {
    let output = process::Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.rs"])
        .current_dir(workspace::root())
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

fn is_exempt(file: &str) -> bool {
    let is_test = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs";
    file.starts_with(GENERATED) || Path::new(file).iter().any(is_test)
}

fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let starts_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
    lines.windows(2).rposition(starts_tests).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_the_final_test_module() {
        assert_eq!(lines_before_tests("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(lines_before_tests("#[cfg(test)]\nuse b;\nfn a() {}\n"), 3);
        assert_eq!(lines_before_tests(""), 0);
    }

    #[test]
    fn exempts_tests_and_generated_tables() {
        assert!(is_exempt("crates/seccomp/src/table/x86_64.rs"));
        assert!(is_exempt("crates/sys/tests/abi.rs"));
        assert!(is_exempt("tests/run.rs"));
        assert!(is_exempt("crates/ns/src/idmap/tests.rs"));
        assert!(!is_exempt("crates/testkit/src/lib.rs"));
    }
}
