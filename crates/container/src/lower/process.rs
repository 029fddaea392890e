//! `/process`, but for its rights.

use coracle_init::plan::{ProcessPlan, Slot, StartGate, TerminalPlan};
use coracle_process::{Credentials, Rlimit, RlimitKind, WindowSize, env};
use oci_spec::runtime::{PosixRlimit, Process, Spec, User};

use super::{Context, invalid, required};
use crate::Result;

/// The mask of runc, where the specification gives none.
const DEFAULT_UMASK: u32 = 0o022;

pub(super) fn lower(spec: &Spec, context: &Context<'_>) -> Result<ProcessPlan> {
    let process = required(spec.process().as_ref(), "/process")?;
    let args = process.args().clone().unwrap_or_default();
    if args.is_empty() {
        return Err(invalid("/process/args", "must not be empty"));
    }
    let mut env = process.env().clone().unwrap_or_default();
    env::deduplicate(&mut env);
    let terminal = process.terminal().unwrap_or_default();
    Ok(ProcessPlan {
        args,
        env,
        cwd: process.cwd().clone(),
        credentials: credentials(process.user()),
        rlimits: process.rlimits().iter().flatten().map(rlimit).collect::<Result<_>>()?,
        oom_score_adj: process.oom_score_adj(),
        keyring: (!context.no_new_keyring).then(|| format!("_ses.{}", context.id)),
        stdio: [Slot(0); 3],
        preserved: Vec::new(),
        terminal: terminal.then(|| TerminalPlan { size: size(process) }),
        gate: StartGate::Message,
    })
}

fn credentials(user: &User) -> Credentials {
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    // Without the primary group among them, a file could be denied to the group and yet be read.
    if !groups.contains(&user.gid()) {
        groups.insert(0, user.gid());
    }
    Credentials {
        uid: user.uid(),
        gid: user.gid(),
        groups: Some(groups),
        umask: user.umask().unwrap_or(DEFAULT_UMASK),
    }
}

fn rlimit(oci: &PosixRlimit) -> Result<Rlimit> {
    let name = oci.typ().to_string();
    let kind = RlimitKind::named(&name)
        .ok_or_else(|| invalid("/process/rlimits", format!("{name} is no resource limit")))?;
    Ok(Rlimit { kind, soft: oci.soft(), hard: oci.hard() })
}

fn size(process: &Process) -> Option<WindowSize> {
    let size = process.console_size()?;
    let limited = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
    Some(WindowSize { rows: limited(size.height()), columns: limited(size.width()) })
}
