//! What a test must not leave behind.

mod cgroups;
mod files;
mod mounts;
mod processes;
mod sentinel;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::{MountEntry, Result, host_mounts, scaled};

pub(crate) use processes::describe as describe_processes;
pub(crate) use sentinel::Sentinel;

/// How long what a test has ended may take to be gone: processes are reaped by somebody else.
const SETTLE: u64 = 2;

/// Settings of the host that no container may change.
const SETTINGS: [&str; 4] = [
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/core_pattern",
    "/proc/self/oom_score_adj",
];

/// Where to look.
#[derive(Debug)]
pub(crate) struct Scope {
    /// What is in the name of everything that this run of the suite makes.
    pub(crate) tag: String,
    /// Whose descendants are all our processes.
    pub(crate) reaper: i32,
    /// The mount points of the cgroup hierarchies.
    pub(crate) hierarchies: Vec<PathBuf>,
    /// Directories that only our tests use.
    pub(crate) private: Vec<PathBuf>,
}

/// What there is at a moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    mounts: Vec<MountEntry>,
    cgroups: BTreeSet<PathBuf>,
    processes: BTreeSet<i32>,
    files: BTreeSet<PathBuf>,
    descriptors: BTreeMap<i32, String>,
    settings: Vec<String>,
}

impl Snapshot {
    /// Looks.
    pub(crate) fn take(scope: &Scope) -> Result<Self> {
        Ok(Self {
            mounts: host_mounts()?,
            cgroups: cgroups::tagged(scope),
            processes: processes::descendants(scope.reaper),
            files: files::below(&scope.private),
            descriptors: files::open_descriptors()?,
            settings: SETTINGS
                .iter()
                .map(|path| fs::read_to_string(path).unwrap_or_default())
                .collect(),
        })
    }

    /// What is there now and was not then, and what is in directories that should be empty, in sentences.
    pub(crate) fn leaks(&self, scope: &Scope, empty: &[PathBuf]) -> Result<Vec<String>> {
        let deadline = Instant::now() + scaled(SETTLE);
        loop {
            let mut leaks = self.differences(&Self::take(scope)?);
            leaks.extend(files::not_empty(empty));
            if leaks.is_empty() || Instant::now() >= deadline {
                return Ok(leaks);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn differences(&self, now: &Self) -> Vec<String> {
        let mut leaks = mounts::differences(&self.mounts, &now.mounts);
        let news = now.cgroups.difference(&self.cgroups);
        leaks.extend(news.map(|path| format!("cgroup {}", path.display())));
        let news = now.processes.difference(&self.processes);
        leaks.extend(news.map(|pid| format!("process {}", processes::describe_one(*pid))));
        let news = now.files.difference(&self.files).filter(|path| !files::is_kept(path));
        leaks.extend(news.map(|path| format!("file {}", path.display())));
        let news = now.descriptors.iter().filter(|(fd, _)| !self.descriptors.contains_key(fd));
        leaks.extend(news.map(|(fd, target)| format!("descriptor {fd} of the test: {target}")));
        leaks.extend(self.changed_settings(now));
        leaks
    }

    /// The same of the host only, which other runtimes must leave alone as well: they may be less tidy.
    pub(crate) fn damages(&self, scope: &Scope) -> Result<Vec<String>> {
        let now = Self::take(scope)?;
        let mut damages = mounts::differences(&self.mounts, &now.mounts);
        damages.extend(self.changed_settings(&now));
        Ok(damages)
    }

    fn changed_settings(&self, now: &Self) -> Vec<String> {
        let settings = SETTINGS.iter().zip(self.settings.iter().zip(&now.settings));
        let changed = settings.filter(|(_, (then, now))| then != now);
        changed.map(|(name, (then, now))| format!("{name}: {then:?} became {now:?}")).collect()
    }

    /// Ends and removes all that was not there then, so that the next test starts as this one did.
    pub(crate) fn restore(&self, scope: &Scope) -> Result<()> {
        processes::kill_new(scope.reaper, &self.processes)?;
        cgroups::remove_new(scope, &self.cgroups);
        mounts::remove_new(&self.mounts)?;
        files::remove_new(&scope.private, &self.files);
        Ok(())
    }
}
