//! `/process`, but for its rights.

use coracle_init::plan::{CpuAffinity, OomScoreAdj, ProcessPlan, Slot, StartGate, TerminalPlan};
use coracle_process::{Credentials, Rlimit, RlimitKind, WindowSize, env};
use coracle_spec::types::{self, ConsoleSize, Process, User};

use super::invalid;
use crate::Result;

/// The mask of runc, where the specification gives none.
const DEFAULT_UMASK: u32 = 0o022;

/// For a caller without the rights of root, if `rootless`.
pub(super) fn lower(
    process: &Process,
    keyring: Option<String>,
    rootless: bool,
) -> Result<ProcessPlan> {
    let mut env = process.env.clone();
    env::deduplicate(&mut env);
    Ok(ProcessPlan {
        args: process.args.clone(),
        env,
        listens: false,
        cwd: process.cwd.clone(),
        credentials: credentials(&process.user),
        rlimits: process.rlimits.iter().map(rlimit).collect::<Result<_>>()?,
        oom_score_adj: process.oom_score_adj.map(|value| OomScoreAdj { value, lenient: rootless }),
        cpus: CpuAffinity::default(),
        scheduler: None,
        io_priority: None,
        memory_policy: None,
        personality: None,
        keyring,
        stdio: [Slot(0); 3],
        own_stdio: false,
        preserved: Vec::new(),
        terminal: process
            .terminal
            .then(|| TerminalPlan { size: process.console_size.map(window_size) }),
        gate: StartGate::Message,
    })
}

fn credentials(user: &User) -> Credentials {
    let mut groups = user.additional_gids.clone();
    // Without the primary group among them, a file could be denied to the group and yet be read.
    if !groups.contains(&user.gid) {
        groups.insert(0, user.gid);
    }
    Credentials {
        uid: user.uid,
        gid: user.gid,
        groups: Some(groups),
        umask: user.umask.unwrap_or(DEFAULT_UMASK),
    }
}

fn rlimit(oci: &types::Rlimit) -> Result<Rlimit> {
    let types::Rlimit { kind: name, soft, hard, .. } = oci;
    let kind = RlimitKind::named(name)
        .ok_or_else(|| invalid("/process/rlimits", format!("{name} is no resource limit")))?;
    Ok(Rlimit { kind, soft: *soft, hard: *hard })
}

fn window_size(oci: ConsoleSize) -> WindowSize {
    WindowSize { rows: oci.height, columns: oci.width }
}
