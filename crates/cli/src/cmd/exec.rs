//! `coracle exec`.

use std::path::Path;
use std::process::ExitCode;

use coracle::{BlockedSignals, ExecBuilder, Orphans, Signal};

use super::create::note;
use crate::error::{Failure, Result};
use crate::log::Log;
use crate::parse::Invocation;

/// Runs another process in a container; in the foreground, waits for its end.
pub fn exec(invocation: &Invocation, log: &Log) -> Result<ExitCode> {
    if invocation.positional.len() < 2 && invocation.flags.last("process").is_none() {
        return Err(Failure::new("name a command, or a file with --process"));
    }
    let builder = builder(invocation)?;
    if invocation.flags.is_set("detach") {
        let process = builder.detached(true).spawn()?;
        note(process.warnings(), process.seccomp_filter(), log);
        return Ok(ExitCode::SUCCESS);
    }
    // Before there is a process, so that no signal for it is lost.
    let signals = BlockedSignals::all()?;
    let mut process = builder.sized_as(std::io::stdin())?.spawn()?;
    note(process.warnings(), process.seccomp_filter(), log);
    let ended = process.attend(&signals, Orphans::Leave);
    if ended.is_err() {
        // Nobody serves it any more.
        process.pidfd().signal(Signal::KILL)?;
    }
    Ok(ExitCode::from(ended?.code()))
}

fn builder(invocation: &Invocation) -> Result<ExecBuilder> {
    let flags = &invocation.flags;
    let mut builder = invocation.store()?.container(&invocation.id()?)?.exec()?;
    if let Some(path) = flags.last("process") {
        let path = Path::new(path);
        builder = builder.process(&super::read(path)?, path)?;
    }
    if invocation.positional.len() > 1 {
        let command = (1..invocation.positional.len()).map(|index| invocation.argument(index));
        let command = command.collect::<Result<Vec<_>>>()?;
        // A terminal is what the command line asks for, not what the container's own process has.
        builder = builder.args(command.into_iter().flatten()).terminal(false);
    }
    if flags.last("tty").is_some() {
        builder = builder.terminal(flags.is_set("tty"));
    }
    for variable in flags.texts("env")? {
        builder = builder.env(variable);
    }
    if let Some(cwd) = flags.last("cwd") {
        builder = builder.cwd(cwd);
    }
    if let Some(user) = flags.text("user")? {
        let (uid, gid) = user_and_group(user)?;
        builder = builder.user(uid, gid);
    }
    Ok(connected!(confined(builder, invocation)?, invocation))
}

/// The flags about rights and limits.
fn confined(mut builder: ExecBuilder, invocation: &Invocation) -> Result<ExecBuilder> {
    let flags = &invocation.flags;
    let gids = flags.texts("additional-gids")?.into_iter().flat_map(|list| list.split(','));
    builder = builder.additional_gids(gids.map(|gid| id(gid, gid)).collect::<Result<Vec<_>>>()?);
    for name in flags.texts("cap")? {
        builder = builder.capability(name)?;
    }
    if flags.last("no-new-privs").is_some() {
        builder = builder.no_new_privileges(flags.is_set("no-new-privs"));
    }
    if let Some(profile) = flags.text("apparmor")? {
        builder = builder.apparmor_profile(profile);
    }
    if let Some(label) = flags.text("process-label")? {
        builder = builder.selinux_label(label);
    }
    for cgroup in flags.texts("cgroup")? {
        let (controllers, path) = cgroup.split_once(':').unwrap_or(("", cgroup));
        for controller in controllers.split(',') {
            builder = builder.sub_cgroup(controller, path);
        }
    }
    Ok(builder.ignore_paused(flags.is_set("ignore-paused")))
}

/// `UID` or `UID:GID`, numbers both.
fn user_and_group(text: &str) -> Result<(u32, Option<u32>)> {
    match text.split_once(':') {
        None => Ok((id(text, text)?, None)),
        Some((uid, gid)) => Ok((id(uid, text)?, Some(id(gid, text)?))),
    }
}

/// Digits only: what else a parser of numbers takes could be a way around a check made elsewhere.
fn id(digits: &str, given: &str) -> Result<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse::<u32>().ok()).flatten();
    number.filter(|number| *number != u32::MAX).ok_or_else(|| {
        let message = format!("{given:?} is no user or group: give numbers, as 1000 or 1000:1000");
        Failure::new(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        let parsed = |text| user_and_group(text).ok();
        assert_eq!(parsed("0"), Some((0, None)));
        assert_eq!(parsed("1"), Some((1, None)));
        assert_eq!(parsed("1:2"), Some((1, Some(2))));
        assert_eq!(parsed("01"), Some((1, None)));
        for wrong in ["", "+1", "-1", " 1", "1:", ":1", "4294967295", "4294967296", "1e3", "root"] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }
}
