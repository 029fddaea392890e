//! Commands of the host.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};

/// How much of a failed command's output is shown: the reason is at the end.
const SHOWN_LINES: usize = 30;

/// Runs a command that is silent unless it fails: the error then holds its last output.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}

/// Runs a command for its standard output, which has to be UTF-8.
pub fn stdout(command: &mut Command) -> anyhow::Result<String> {
    Ok(String::from_utf8(output(command)?.stdout)?)
}

/// Runs a command to its successful end.
pub fn output(command: &mut Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.trim().lines().collect();
        let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
        bail!("{name} failed with {}:\n{shown}", output.status);
    }
    Ok(output)
}
