//! The processes that descend from the suite.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::cgroups;
use crate::{Result, eventually};

/// All descendants of `ancestor`, and their threads' leaders only.
pub(super) fn descendants(ancestor: i32) -> BTreeSet<i32> {
    let parents = parents();
    let descends = |pid: i32| {
        let mut next = Some(pid);
        while let Some(pid) = next {
            next = parents.get(&pid).copied();
            if next == Some(ancestor) {
                return true;
            }
        }
        false
    };
    parents.keys().copied().filter(|pid| descends(*pid)).collect()
}

/// Of each process its parent.
fn parents() -> BTreeMap<i32, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, fields(pid)?.1))).collect()
}

/// The state and the parent, from proc_pid_stat(5): what follows the name in parentheses.
fn fields(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// What a process is, in a line.
pub(super) fn describe_one(pid: i32) -> String {
    let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let (state, parent) = fields(pid).unwrap_or(('?', 0));
    let command = file("cmdline").replace('\0', " ");
    format!(
        "{pid} (parent {parent}, {state}, {}): {} {command}",
        file("wchan"),
        file("comm").trim()
    )
}

/// What all our processes are.
pub(crate) fn describe() -> String {
    let this = i32::try_from(std::process::id()).unwrap_or_default();
    let all = descendants(fields(this).map_or(1, |(_, parent)| parent));
    all.iter().map(|pid| format!("  {}\n", describe_one(*pid))).collect()
}

/// Kills what was started since, and what that starts, until nothing is left.
pub(super) fn kill_new(ancestor: i32, then: &BTreeSet<i32>) -> Result<()> {
    eventually("the end of the test's processes", || {
        let now = descendants(ancestor);
        let news: Vec<_> = now.difference(then).copied().collect();
        for pid in &news {
            cgroups::thaw(*pid);
            if let Some(pid) = Pid::from_raw(*pid) {
                // It may have ended by itself.
                kill_process(pid, Signal::KILL).unwrap_or_default();
            }
        }
        std::thread::sleep(Duration::from_millis(1));
        Ok(news.is_empty().then_some(()))
    })
}
