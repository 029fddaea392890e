//! A cgroup in all hierarchies at once.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_sys::{Errno, SyscallError};
use rustix::fs::OFlags;

use crate::dir::{Dir, read_all};
use crate::walk::{unless_gone, walk};
use crate::{CgroupPaths, Error, Mode, Result};

const ADD_ATTEMPTS: usize = 5;
const ADD_PAUSE: Duration = Duration::from_millis(30);

/// What to do about hierarchies and limits that the caller may not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// Fail.
    Required,
    /// Go without them and report it: for a caller without root, to whom little was delegated.
    BestEffort,
}

/// What was left undone, and why.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// The controller, as the kernel names it; empty for the v2 hierarchy of a hybrid host.
    pub controller: String,
    /// Why.
    pub reason: Error,
}

impl Skipped {
    /// The controller as a reader knows it.
    pub fn name(&self) -> &str {
        if self.controller.is_empty() { "cgroup v2" } else { &self.controller }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.reason)
    }
}

/// What a process needs to enter a cgroup by itself, without the path to it.
#[derive(Debug)]
pub struct Entry {
    /// The v2 directory, opened with `O_PATH`: for `CLONE_INTO_CGROUP` of clone3(2) (Linux 5.7).
    pub unified: Option<OwnedFd>,
    /// The file `tasks` of each v1 hierarchy, opened for writing: for a process with one thread
    /// to write `0`.
    ///
    /// Not `cgroup.procs`, for which the kernel stops all forks and exits of the host: on an idle
    /// one that takes 6 to 14 ms, against 0.09 ms for `tasks` (Linux 5.14, measured on 6.18).
    pub tasks: Vec<OwnedFd>,
}

/// A cgroup: one directory in each hierarchy of the host.
///
/// Dropping it changes nothing; [`Cgroup::remove`] removes it.
#[derive(Debug, Default)]
pub struct Cgroup {
    pub(crate) unified: Option<Dir>,
    pub(crate) legacy: Vec<Legacy>,
    pub(crate) created: Vec<PathBuf>,
    pub(crate) skipped: Vec<Skipped>,
}

/// The directory in a v1 hierarchy.
#[derive(Debug)]
pub(crate) struct Legacy {
    pub(crate) controllers: Vec<String>,
    pub(crate) dir: Dir,
}

/// The directory that has a controller, by version.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    V1(&'a Dir),
    V2(&'a Dir),
}

impl Cgroup {
    /// Takes up a cgroup that was recorded, by [`Cgroup::paths`] or in runc's state. Some of its
    /// directories, or all, may be gone; nothing is opened yet.
    ///
    /// Refuses relative paths and `..`. What turns out to be no cgroup, or the root of a
    /// hierarchy, is refused when first used: a damaged record does no harm.
    pub fn open(paths: &CgroupPaths) -> Result<Self> {
        let mut cgroup = Self::default();
        for (controller, path) in paths {
            crate::path::check_recorded(path)?;
            if controller.is_empty() {
                cgroup.unified = Some(Dir::recorded(path.clone()));
                continue;
            }
            // Controllers that are mounted together share a directory.
            match cgroup.legacy.iter_mut().find(|legacy| legacy.dir.path() == path) {
                Some(legacy) => legacy.controllers.push(controller.clone()),
                None => cgroup.legacy.push(Legacy {
                    controllers: vec![controller.clone()],
                    dir: Dir::recorded(path.clone()),
                }),
            }
        }
        Ok(cgroup)
    }

    /// Where it is, to be recorded for [`Cgroup::open`]. Without the hierarchies that were
    /// skipped.
    pub fn paths(&self) -> CgroupPaths {
        let unified = self.unified.iter().map(|dir| (String::new(), dir.path().to_owned()));
        let legacy = self.legacy.iter().flat_map(|legacy| {
            legacy.controllers.iter().map(|name| (name.clone(), legacy.dir.path().to_owned()))
        });
        unified.chain(legacy).collect()
    }

    /// The directories that [`Cgroup::create`] made, parents first. Empty for one that was
    /// opened.
    pub fn created(&self) -> &[PathBuf] {
        &self.created
    }

    /// The hierarchies and controllers that [`Cgroup::create`] did without.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Which versions it is on.
    pub fn mode(&self) -> Mode {
        match (&self.unified, self.legacy.is_empty()) {
            (Some(_), true) => Mode::Unified,
            (Some(_), false) => Mode::Hybrid,
            (None, _) => Mode::Legacy,
        }
    }

    /// Whether any of its directories is there.
    pub fn exists(&self) -> bool {
        self.dirs().any(Dir::exists)
    }

    /// What a process needs to enter by itself. Opens one descriptor for each hierarchy, all
    /// close-on-exec; needs the permission to write to them.
    pub fn entry(&self) -> Result<Entry> {
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        let unified = self.unified.as_ref().map(|dir| dir.open(".", directory)).transpose()?;
        let tasks = self.legacy.iter().map(|legacy| legacy.dir.open("tasks", OFlags::WRONLY));
        Ok(Entry { unified, tasks: tasks.collect::<Result<_>>()? })
    }

    /// Moves a process with all its threads into the cgroup, in every hierarchy; 0 is the
    /// calling process.
    ///
    /// Its children so far stay where they are. Needs root, or write access to the cgroup and,
    /// on v2, to the closest cgroup above both. Slower than [`Cgroup::entry`].
    pub fn add(&self, pid: u32) -> Result<()> {
        self.dirs().try_for_each(|dir| add(dir, &pid.to_string()))
    }

    /// The processes in the cgroup, in ascending order; with those of its sub-cgroups if
    /// `recursive`. On v1 those of the devices hierarchy, as with runc, or of another if there is
    /// none.
    pub fn pids(&self, recursive: bool) -> Result<Vec<u32>> {
        let Some(dir) = self.primary() else { return Ok(Vec::new()) };
        let pids = if recursive { pids_below(dir)? } else { pids_in(dir)? };
        Ok(pids.into_iter().collect())
    }

    /// The processes in any hierarchy, sub-cgroups included. None are in one that is gone.
    pub(crate) fn all_pids(&self) -> Result<BTreeSet<u32>> {
        let mut all = BTreeSet::new();
        for dir in self.dirs() {
            match pids_below(dir) {
                Err(Error::Gone { .. }) => {}
                pids => all.append(&mut pids?),
            }
        }
        Ok(all)
    }

    pub(crate) fn dirs(&self) -> impl Iterator<Item = &Dir> {
        self.legacy.iter().map(|legacy| &legacy.dir).chain(&self.unified)
    }

    /// The directory of a v1 hierarchy.
    pub(crate) fn v1(&self, controller: &str) -> Option<&Dir> {
        let has = |legacy: &&Legacy| legacy.controllers.iter().any(|name| name == controller);
        self.legacy.iter().find(has).map(|legacy| &legacy.dir)
    }

    /// The directory that has a controller if any does: v1's, else v2's.
    pub(crate) fn target(&self, controller: &str) -> Option<Target<'_>> {
        self.v1(controller).map(Target::V1).or(self.unified.as_ref().map(Target::V2))
    }

    /// The directory that speaks for all where one is enough.
    pub(crate) fn primary(&self) -> Option<&Dir> {
        ["devices", "pids", "freezer", "memory"]
            .iter()
            .find_map(|controller| self.v1(controller))
            .or_else(|| self.dirs().last())
    }

    /// The path to name in a message.
    pub(crate) fn path(&self) -> &Path {
        self.primary().map_or(Path::new(""), Dir::path)
    }
}

/// Kernels before 5.19 refuse for a moment a process that is being forked.
fn add(dir: &Dir, pid: &str) -> Result<()> {
    for _ in 1..ADD_ATTEMPTS {
        match dir.write("cgroup.procs", pid) {
            Err(error) if error.errno() == Some(Errno::INVAL) => std::thread::sleep(ADD_PAUSE),
            result => return result,
        }
    }
    dir.write("cgroup.procs", pid)
}

/// The processes in one directory.
fn pids_in(dir: &Dir) -> Result<BTreeSet<u32>> {
    pids_by(dir, read_pids)
}

/// The processes in one directory and those below it.
pub(crate) fn pids_below(dir: &Dir) -> Result<BTreeSet<u32>> {
    pids_by(dir, |fd, pids| walk(fd, |fd| read_pids(fd, pids), |_, _| Ok(())))
}

fn pids_by(
    dir: &Dir,
    read: impl FnOnce(BorrowedFd<'_>, &mut BTreeSet<u32>) -> rustix::io::Result<()>,
) -> Result<BTreeSet<u32>> {
    let mut pids = BTreeSet::new();
    read(dir.fd()?, &mut pids).map_err(|errno| procs_error(dir, errno))?;
    // A directory that was removed after it was opened looks empty.
    if pids.is_empty() && !dir.is_cgroup() {
        return Err(dir.gone());
    }
    Ok(pids)
}

/// The processes in the open directory of a cgroup.
pub(crate) fn pids_at(dir: BorrowedFd<'_>) -> rustix::io::Result<BTreeSet<u32>> {
    let mut pids = BTreeSet::new();
    read_pids(dir, &mut pids)?;
    Ok(pids)
}

fn read_pids(dir: BorrowedFd<'_>, pids: &mut BTreeSet<u32>) -> rustix::io::Result<()> {
    match read_numbers(dir, c"cgroup.procs") {
        // A threaded cgroup has threads, of processes that the domain above it lists.
        Err(Errno::OPNOTSUPP) => {
            let threads = read_numbers(dir, c"cgroup.threads")?;
            pids.extend(threads.into_iter().filter_map(process_of));
        }
        numbers => pids.extend(numbers?),
    }
    Ok(())
}

fn read_numbers(dir: BorrowedFd<'_>, file: &CStr) -> rustix::io::Result<Vec<u32>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let open = rustix::fs::openat(dir, file, flags, rustix::fs::Mode::empty());
    let text = unless_gone(open.and_then(|fd| read_all(&fd)))?.unwrap_or_default();
    text.lines().map(|line| line.parse().map_err(|_| Errno::ILSEQ)).collect()
}

/// The process that a thread belongs to, unless it is gone.
fn process_of(thread: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

fn procs_error(dir: &Dir, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NODEV => dir.gone(),
        errno => {
            let file = dir.path().join("cgroup.procs");
            Error::read(SyscallError::new("read", file.to_string_lossy(), errno))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(entries: &[(&str, &str)]) -> CgroupPaths {
        entries.iter().map(|(name, path)| ((*name).to_owned(), PathBuf::from(path))).collect()
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let paths = record(&[
            ("", "/sys/fs/cgroup/unified/x"),
            ("cpu", "/sys/fs/cgroup/cpu,cpuacct/x"),
            ("cpuacct", "/sys/fs/cgroup/cpu,cpuacct/x"),
            ("memory", "/sys/fs/cgroup/memory/x"),
        ]);
        let cgroup = Cgroup::open(&paths).unwrap();
        assert_eq!(cgroup.paths(), paths);
        assert_eq!(cgroup.dirs().count(), 3);
        assert!(matches!(cgroup.target("memory"), Some(Target::V1(_))));
        assert!(matches!(cgroup.target("hugetlb"), Some(Target::V2(_))));
    }

    #[test]
    fn a_damaged_record_is_refused() {
        for path in ["", "/", "x", "/a/../b"] {
            assert!(Cgroup::open(&record(&[("", path)])).is_err(), "{path}");
        }
        let temp = tempfile::tempdir().unwrap();
        let cgroup = Cgroup::open(&record(&[("", temp.path().to_str().unwrap())])).unwrap();
        assert!(matches!(cgroup.add(1), Err(Error::InvalidPath { .. })));
        assert!(matches!(cgroup.pids(true), Err(Error::InvalidPath { .. })));
        assert!(temp.path().exists());
    }

    #[test]
    fn lists_the_processes_of_plain_files() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("sub")).unwrap();
        std::fs::write(temp.path().join("cgroup.procs"), "30\n4\n30\n").unwrap();
        std::fs::write(temp.path().join("sub/cgroup.procs"), "5\n").unwrap();
        let unified = Some(Dir::new(temp.path().into()));
        let cgroup = Cgroup { unified, ..Cgroup::default() };
        assert_eq!(cgroup.pids(false).unwrap(), [4, 30]);
        assert_eq!(cgroup.pids(true).unwrap(), [4, 5, 30]);
    }
}
