//! Programs of the host that are run at points of a container's life.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use coracle_init::plan::HookPlan;
use coracle_process::Helper;
use serde::{Deserialize, Serialize};

use crate::state::Record;
use crate::{Error, Result, Status};

/// The hooks that run after the creation, and what is to be known of the others then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedHooks {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) poststart: Vec<HookPlan>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) poststop: Vec<HookPlan>,
    /// How long those of the start may take.
    #[serde(default)]
    pub(crate) start_container: HookTime,
}

impl RecordedHooks {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How long some hooks may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HookTime {
    Limited(Duration),
    /// One of them has no limit: who configured it has decided to wait.
    Unlimited,
}

impl Default for HookTime {
    fn default() -> Self {
        Self::Limited(Duration::ZERO)
    }
}

impl HookTime {
    pub(crate) fn of<'hook>(hooks: impl IntoIterator<Item = &'hook HookPlan>) -> Self {
        let sum: Option<Duration> = hooks.into_iter().map(|hook| hook.timeout).sum();
        sum.map_or(Self::Unlimited, Self::Limited)
    }

    /// A limit that does not count these hooks, with them.
    pub(crate) fn beyond(self, limit: Duration) -> Option<Duration> {
        match self {
            Self::Limited(time) => Some(limit.saturating_add(time)),
            Self::Unlimited => None,
        }
    }
}

/// What a hook reads: the state as the OCI runtime specification defines it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HookState<'a> {
    oci_version: &'a str,
    id: &'a str,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
}

impl<'a> HookState<'a> {
    pub(crate) fn new(record: &'a Record, status: Option<Status>, pid: Option<i32>) -> Self {
        Self {
            oci_version: &record.oci_version,
            id: &record.id,
            bundle: &record.bundle,
            annotations: &record.annotations,
            status,
            pid,
        }
    }
}

/// The state for hooks, as JSON.
fn state(record: &Record, status: Option<Status>, pid: Option<i32>) -> Result<String> {
    serde_json::to_string(&HookState::new(record, status, pid))
        .map_err(|error| Error::file("write", "the state for hooks", error))
}

/// The state without status and pid and its last brace, for the process that knows them.
pub(crate) fn unfinished_state(record: &Record) -> Result<String> {
    let mut text = state(record, None, None)?;
    text.pop();
    Ok(text)
}

/// Runs `hooks` one after the other, until one fails. They start in the bundle, with the caller's rights.
pub(crate) fn run(hooks: &[HookPlan], record: &Record, status: Status) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let init = record.init.as_ref().filter(|_| status != Status::Stopped);
    let state = state(record, Some(status), init.map(|init| init.init_process_pid))?;
    hooks.iter().try_for_each(|hook| run_one(hook, record, &state))
}

/// Runs all of `hooks`, whatever becomes of one; returns the failures.
pub(crate) fn run_all(hooks: &[HookPlan], record: &Record, status: Status) -> Vec<Error> {
    let one = |hook| run(std::slice::from_ref(hook), record, status).err();
    hooks.iter().filter_map(one).collect()
}

fn run_one(hook: &HookPlan, record: &Record, state: &str) -> Result<()> {
    let helper = Helper {
        program: &hook.path,
        args: &hook.args,
        env: hook.env.as_deref(),
        directory: Some(&record.bundle),
        input: state.as_bytes(),
        timeout: hook.timeout,
    };
    helper.run().map_err(|source| Error::Hook {
        name: format!("{} ({})", hook.name, hook.path.display()),
        source,
    })
}
