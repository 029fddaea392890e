//! `coracle ps`.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};

use super::print;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;

/// Shows the processes of a container.
pub fn ps(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let pids = invocation.store()?.container(&invocation.id()?)?.pids()?;
    if invocation.flags.text("format")? == Some("json") {
        print(&format!("{}\n", serde_json::to_string(&pids)?))?;
    } else {
        print(&rows(&of_host(&invocation.positional[1..])?, &pids)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the host's ps prints.
fn of_host(args: &[OsString]) -> Result<String> {
    let default = [OsString::from("-ef")];
    let args = if args.is_empty() { &default } else { args };
    let output = Command::new("ps").args(args).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| {
        Failure::new(format!("cannot run ps: {error}: install it or take --format json"))
    })?;
    if !output.status.success() {
        return Err(Failure::new(format!("ps failed: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The heading and the rows of these processes.
fn rows(text: &str, pids: &[i32]) -> Result<String> {
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default();
    let column = words(heading).enumerate().find(|(_, (_, title))| *title == "PID");
    let Some((index, (end, _))) = column else {
        return Err(Failure::new("ps shows no column PID: add it to the arguments of ps"));
    };
    let mut rows = format!("{heading}\n");
    for line in lines {
        // Below its title, where a column before it has spaces; elsewhere, if one before it is too wide.
        let below = words(line).find(|(found, _)| *found == end).and_then(|(_, word)| number(word));
        let counted = || words(line).nth(index).and_then(|(_, word)| number(word));
        let Some(pid) = below.or_else(counted) else {
            return Err(Failure::new("cannot read the rows of ps: let it show the PID first"));
        };
        if pids.contains(&pid) {
            rows.push_str(line);
            rows.push('\n');
        }
    }
    Ok(rows)
}

/// The words of a line, each with the place where it ends.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = |word: &str| word.as_ptr().addr() - line.as_ptr().addr() + word.len();
    line.split_whitespace().map(move |word| (end(word), word))
}

fn number(word: &str) -> Option<i32> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_heading_and_the_rows_of_the_container() {
        let text =
            "UID   PID  PPID CMD\nroot    1     0 init\nroot   23     1 ps 1\nu     123    23 x\n";
        assert_eq!(
            rows(text, &[1, 123]).unwrap(),
            "UID   PID  PPID CMD\nroot    1     0 init\nu     123    23 x\n"
        );
        assert_eq!(rows(text, &[]).unwrap(), "UID   PID  PPID CMD\n");
    }

    #[test]
    fn finds_the_number_after_columns_with_spaces_or_that_are_too_wide() {
        let text = "CMD            PID\nsleep 1000      77\nsleep 77      1000\n";
        assert_eq!(rows(text, &[77]).unwrap(), "CMD            PID\nsleep 1000      77\n");
        // As busybox prints it.
        let text = "PID   USER\n    1 root\n12345 root\n";
        assert_eq!(rows(text, &[12345]).unwrap(), "PID   USER\n12345 root\n");
        let text = "UID   PID\na-long-name 7\n";
        assert_eq!(rows(text, &[7]).unwrap(), text);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for (text, message) in [
            ("", "no column PID"),
            ("CMD\ninit\n", "no column PID"),
            ("STARTED PID\nMon Nov 23 2026 1\n", "the PID first"),
        ] {
            let failure = rows(text, &[1]).unwrap_err().to_string();
            assert!(failure.contains(message), "{failure}");
        }
    }
}
