//! `coracle seccomp`.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use coracle::{ExplainedCall, ExplainedOutcome, SeccompProfile};
use coracle_spec::read_document;
use serde_json::json;

use super::print;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;

/// Says what a profile does with a system call.
pub fn seccomp(invocation: &Invocation, _: &Log) -> Result<ExitCode> {
    let argument = |index| Ok::<_, Failure>(invocation.argument(index)?.unwrap_or_default());
    if argument(0)? != "explain" {
        return Err(Failure::new(format!("unknown action {:?}: give explain", argument(0)?)));
    }
    let path = Path::new(argument(1)?);
    let capabilities = invocation.flags.texts("cap")?;
    let profile = SeccompProfile::parse(&read_document(path)?, path, &capabilities)?;
    let mut args = [None; 6];
    for (index, arg) in args.iter_mut().enumerate() {
        *arg = invocation.argument(3 + index)?.map(number).transpose()?.flatten();
    }
    let calls = profile.explain(argument(2)?, args)?;
    let instructions = profile.instructions()?;
    print(&match invocation.flags.text("format")? {
        Some("json") => {
            let notes = profile.notes();
            let document = json!({"calls": calls, "instructions": instructions, "notes": notes});
            format!("{}\n", serde_json::to_string_pretty(&document)?)
        }
        _ => text(&calls, instructions, profile.notes()),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// An argument, as 5 or 0x5; `-` is one that is not known.
fn number(text: &str) -> Result<Option<u64>> {
    let parsed = match text.strip_prefix("0x") {
        _ if text == "-" => return Ok(None),
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let wrong = |_| Failure::new(format!("{text:?} is no argument: give 5, 0x5, or - if unknown"));
    parsed.map(Some).map_err(wrong)
}

fn text(calls: &[ExplainedCall], instructions: usize, notes: &[String]) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let mut line = |line: String| writeln!(text, "{line}").unwrap_or_default();
    for call in calls {
        let name = call.syscall.as_deref().unwrap_or("a call without a name");
        line(format!("{name} ({} of {}):", call.number, call.architecture));
        call.outcomes.iter().for_each(|outcome| line(sentence(outcome)));
    }
    line(format!("\nThe filter has {instructions} instructions, {} bytes.", instructions * 8));
    notes.iter().for_each(|note| line(format!("Note: {note}")));
    text
}

fn sentence(outcome: &ExplainedOutcome) -> String {
    let ExplainedOutcome { effect, when, reason, pointer, .. } = outcome;
    let condition = match when.as_slice() {
        [] => String::new(),
        when => format!(" if {}", when.join(" and ")),
    };
    let place = pointer.as_ref().map(|pointer| format!(", {pointer}")).unwrap_or_default();
    format!("  {effect}{condition}: {reason}{place}")
}
