//! Killing all processes of a cgroup, however fast they fork.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use coracle_sys::SyscallError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::dir::Dir;
use crate::v2::events;
use crate::walk::{unless_gone, walk};
use crate::{Cgroup, Error, Result};

/// How long to try to freeze before killing, and to wait for the killed before looking again.
const ROUND: Duration = Duration::from_millis(50);

/// How many descriptors of processes to hold at a time.
const BATCH: usize = 64;

impl Cgroup {
    /// Kills all processes with `SIGKILL`, with those of sub-cgroups, and waits until none is
    /// left. Frozen cgroups are thawed, or the signal would not arrive. A cgroup that is gone has
    /// no processes.
    ///
    /// Uses `cgroup.kill` (Linux 5.14) where there is v2; what that does not reach is frozen,
    /// killed and thawed until there is nothing left or the time is over ([`Error::Timeout`]).
    /// Signals go through pidfds, to no other process that got the same number. If the calling
    /// process is in the cgroup, it dies too.
    pub fn kill(&self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let dying = self.kill_at_once()?;
        let killed = match (dying, self.legacy.as_slice(), &self.unified) {
            (true, [], Some(dir)) => wait_until_empty(dir, deadline)?,
            _ => self.kill_one_by_one(dying, deadline)?,
        };
        if killed { Ok(()) } else { self.timeout("kill", timeout) }
    }

    /// Kills in rounds; whether all were dead before the deadline. If they are `dying` already,
    /// the first round need not stop them from forking.
    fn kill_one_by_one(&self, mut dying: bool, deadline: Instant) -> Result<bool> {
        while !self.all_pids()?.is_empty() {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            if !dying {
                self.stop_forks()?;
            }
            dying = false;
            let signalled = self.signal_all();
            self.thaw_all()?;
            wait_for_exits(&signalled?, deadline.min(Instant::now() + ROUND))?;
        }
        Ok(true)
    }

    /// Whether the kernel killed all processes of the v2 cgroup, forks under way included.
    fn kill_at_once(&self) -> Result<bool> {
        let Some(dir) = &self.unified else { return Ok(false) };
        match dir.write("cgroup.kill", "1") {
            Ok(()) | Err(Error::Gone { .. }) => Ok(true),
            // An old kernel, or a threaded cgroup.
            Err(error) if error.is_missing() || error.errno() == Some(Errno::OPNOTSUPP) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Freezes if that can be: what is frozen does not fork.
    fn stop_forks(&self) -> Result<()> {
        match self.freeze_until(Instant::now() + ROUND) {
            Ok(_) | Err(Error::Gone { .. } | Error::MissingController { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Signals every process; returns the last of them.
    fn signal_all(&self) -> Result<Vec<OwnedFd>> {
        let mut last = Vec::new();
        let all: Vec<u32> = self.all_pids()?.into_iter().collect();
        for batch in all.chunks(BATCH) {
            let open = batch.iter().filter_map(|pid| open_process(*pid).transpose());
            let open = open.collect::<Result<Vec<_>>>()?;
            // Who is in the cgroup still was not replaced by another when it was opened.
            let present = self.all_pids()?;
            last = signal(open, &present)?;
        }
        Ok(last)
    }

    /// Thaws the cgroup and all below it, which the processes may have frozen themselves.
    fn thaw_all(&self) -> Result<()> {
        if let Some(dir) = self.v1("freezer") {
            write_below(dir, "freezer.state", "THAWED")?;
        } else if let Some(dir) = &self.unified {
            write_below(dir, "cgroup.freeze", "0")?;
        }
        Ok(())
    }
}

fn wait_until_empty(dir: &Dir, deadline: Instant) -> Result<bool> {
    match events::wait(dir, deadline, |events| !events.populated) {
        Err(Error::Gone { .. }) => Ok(true),
        result => result,
    }
}

fn open_process(pid: u32) -> Result<Option<(u32, OwnedFd)>> {
    // 0 stands for a process outside of our pid namespace.
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(fd) => Ok(Some((pid, fd))),
        Err(Errno::SRCH) => Ok(None),
        Err(errno) => {
            Err(Error::refused(SyscallError::new("pidfd_open", pid.to_string(), errno), ""))
        }
    }
}

fn signal(open: Vec<(u32, OwnedFd)>, present: &BTreeSet<u32>) -> Result<Vec<OwnedFd>> {
    let mut signalled = Vec::with_capacity(open.len());
    for (pid, fd) in open.into_iter().filter(|(pid, _)| present.contains(pid)) {
        match pidfd_send_signal(&fd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => signalled.push(fd),
            Err(errno) => {
                let args = format!("{pid}, SIGKILL");
                return Err(Error::refused(
                    SyscallError::new("pidfd_send_signal", args, errno),
                    "",
                ));
            }
        }
    }
    Ok(signalled)
}

fn wait_for_exits(processes: &[OwnedFd], deadline: Instant) -> Result<()> {
    let mut fds: Vec<_> = processes.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let timeout = Timespec::try_from(left).ok();
        retry_on_intr(|| poll(&mut fds, timeout.as_ref()))
            .map_err(|errno| Error::read(SyscallError::new("poll", "pidfds", errno)))?;
        fds.retain(|fd| fd.revents().is_empty());
        if fds.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Writes to a file of a cgroup and all below it. Those that are gone are passed over.
fn write_below(dir: &Dir, file: &str, value: &str) -> Result<()> {
    let top = match dir.fd() {
        Err(Error::Gone { .. }) => return Ok(()),
        fd => fd?,
    };
    let write = |fd: BorrowedFd<'_>| {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let open = rustix::fs::openat(fd.as_fd(), file, flags, Mode::empty());
        unless_gone(open.and_then(|fd| rustix::io::write(fd, value.as_bytes()))).map(drop)
    };
    unless_gone(walk(top, write, |_, _| Ok(()))).map(drop).map_err(|errno| {
        let args = format!("{}/**/{file}, {value:?}", dir.path().display());
        Error::refused(SyscallError::new("write", args, errno), file)
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::{CgroupPath, CgroupRoot, Permissions};

    /// What an old kernel needs, on this one.
    #[test]
    fn kills_forks_without_the_help_of_the_kernel() {
        let Ok(root) = CgroupRoot::discover() else { return eprintln!("SKIPPED: no cgroups") };
        let path = CgroupPath::new(format!("/coracle-kill-{}", std::process::id())).unwrap();
        let cgroup = match Cgroup::create(&root, &path, Permissions::Required) {
            Ok(cgroup) => cgroup,
            Err(error) => return eprintln!("SKIPPED: {error}"),
        };
        let limit = crate::Resources { pids: Some(100), ..crate::Resources::default() };
        cgroup.set(&limit, Permissions::Required).unwrap();
        for _ in 0..10 {
            let script = "sleep 0.1; while :; do (sleep 1000 & (sleep 1000; :) &) & done";
            let mut shell = Command::new("sh");
            let mut child = shell.args(["-c", script]).stderr(Stdio::null()).spawn().unwrap();
            cgroup.add(child.id()).unwrap();
            std::thread::sleep(Duration::from_millis(150));
            assert!(
                cgroup.kill_one_by_one(false, Instant::now() + Duration::from_secs(10)).unwrap()
            );
            child.wait().unwrap();
        }
        cgroup.remove(Duration::from_secs(5)).unwrap();
    }
}
