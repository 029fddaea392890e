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
const BATCH: usize = 128;

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
        let mut killed = self.kill_at_once()?;
        if let (true, [], Some(dir)) = (killed, self.legacy.as_slice(), &self.unified) {
            return match events::wait(dir, deadline, |events| !events.populated) {
                Ok(false) => self.timeout("kill", timeout),
                Err(Error::Gone { .. }) => Ok(()),
                result => result.map(drop),
            };
        }
        loop {
            // The first time, all of them are dying already.
            if !killed {
                self.stop_forks()?;
            }
            killed = false;
            let dying = self.signal_all()?;
            self.thaw_all()?;
            if dying.is_empty() && self.all_pids()?.is_empty() {
                return Ok(());
            }
            wait_for_exits(&dying, deadline.min(Instant::now() + ROUND))?;
            if Instant::now() >= deadline {
                return self.timeout("kill", timeout);
            }
        }
    }

    /// Whether the kernel killed all processes of the v2 cgroup, forks under way included.
    fn kill_at_once(&self) -> Result<bool> {
        let Some(dir) = &self.unified else { return Ok(false) };
        match dir.write("cgroup.kill", "1") {
            Ok(()) | Err(Error::Gone { .. }) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
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
