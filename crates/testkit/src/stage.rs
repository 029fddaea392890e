//! The processes of a run: one outside, one that reaps, and the suite.
//!
//! As root the latter two are in mount and pid namespaces of their own, whose every mount is shared, as
//! on a host with systemd: what a container mounts and lets out is seen, and so is what it starts.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use rustix::process::{
    Pid, Signal, WaitOptions, geteuid, getpid, set_child_subreaper,
    set_parent_process_death_signal, wait,
};

use crate::relay::relay;
use crate::{Flavour, Result, Runtime, masked, mounts_of, racer};

const REAPER: &str = "coracle-tests-reaper";
const SUITE: &str = "coracle-tests-suite";

/// Which of the processes this is; the inner ones know the run's tag.
pub(crate) enum Role {
    Outside,
    Reaper(String),
    Suite(String),
    /// About to become a program that has to do without a system call.
    Masked(String),
    /// Somebody who exchanges two names.
    Racer,
}

impl Role {
    /// By the name under which this process was started.
    pub(crate) fn of_this_process() -> Self {
        let name = env::args().next().unwrap_or_default();
        match name.split_once('@') {
            Some((REAPER, tag)) => Self::Reaper(tag.to_owned()),
            Some((SUITE, tag)) => Self::Suite(tag.to_owned()),
            Some((masked::NAME, call)) => Self::Masked(call.to_owned()),
            Some((racer::NAME, _)) => Self::Racer,
            _ => Self::Outside,
        }
    }
}

/// Are the tests in namespaces of their own? Not a user's, and not those that need the host's service manager:
/// it knows processes by their numbers in its own pid namespace.
pub(crate) fn is_apart() -> bool {
    geteuid().is_root() && env::var_os("CORACLE_TEST_HOST_WIDE").is_none()
}

/// Where a run keeps all its files.
pub(crate) fn work_directory(tag: &str) -> PathBuf {
    env::temp_dir().join(format!("coracle-tests-{tag}"))
}

/// Starts the other processes, prints what the suite prints and ends as it ends.
pub(crate) fn outside() -> Result<ExitCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let tag = format!("ct{:x}x{:x}", std::process::id(), now & 0xffff);
    let work = work_directory(&tag);
    fs::create_dir(&work).with_context(|| format!("cannot create {}", work.display()))?;
    if is_apart() {
        unshare(CloneFlags::CLONE_NEWPID).context("root needs CAP_SYS_ADMIN for the tests")?;
    }
    let ended = attend(again(REAPER, &tag).stdout(Stdio::piped()));
    fs::remove_dir_all(&work)?;
    ended
}

fn attend(command: &mut Command) -> Result<ExitCode> {
    let mut child = command.spawn()?;
    let output = child.stdout.take().context("a pipe")?;
    relay(output, io::stdout().lock())?;
    let code = child.wait()?.code().unwrap_or(101);
    Ok(u8::try_from(code).unwrap_or(101).into())
}

/// Adopts and reaps whatever the tests orphan, until the suite ends.
pub(crate) fn reaper(tag: &str) -> Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if is_apart() {
        isolate(&work_directory(tag))?;
    } else {
        set_child_subreaper(Some(getpid()))?;
    }
    let suite = again(SUITE, tag).spawn()?;
    let suite = Pid::from_child(&suite);
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty())? else { bail!("nothing to wait for") };
        if pid == suite {
            let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
            return Ok(code.unwrap_or(101).into());
        }
    }
}

/// This program with the same arguments, in another role.
fn again(role: &str, tag: &str) -> Command {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(format!("{role}@{tag}")).args(args);
    command
}

fn isolate(work: &Path) -> Result<()> {
    let all = |kind| mount_change("/", MountPropagationFlags::REC | kind);
    unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
    all(MountPropagationFlags::PRIVATE)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).context("cannot mount /proc")?;
    hide_second_cgroups()?;
    let temporary = [(work, c"mode=755"), (Path::new("/run"), c"mode=755")];
    for (directory, mode) in temporary.into_iter().chain([(Path::new("/dev/shm"), c"mode=1777")]) {
        mount("tests", directory, "tmpfs", MountFlags::empty(), Some(mode))
            .with_context(|| format!("cannot mount a tmpfs on {}", directory.display()))?;
    }
    all(MountPropagationFlags::SHARED)?;
    Ok(())
}

/// crun takes a host with both versions of cgroups for one with version 2 only; without them it does not.
fn hide_second_cgroups() -> Result<()> {
    if !Runtime::find().is_ok_and(|runtime| runtime.flavour() == Flavour::Crun) {
        return Ok(());
    }
    let mounts = mounts_of(getpid().as_raw_nonzero().get())?;
    if !mounts.iter().any(|mount| mount.fstype == "cgroup") {
        return Ok(());
    }
    for mount in mounts.iter().filter(|mount| mount.fstype == "cgroup2") {
        unmount(mount.target.as_str(), UnmountFlags::DETACH)?;
    }
    Ok(())
}
