//! Who the process is and where it stands.

use std::path::Path;

use coracle_process::env;
use coracle_sys::procfs::ProcRoot;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, read};
use rustix::process::{chdir, getcwd, getpid};

use super::Setup;
use crate::InitError;
use crate::error::Step;

impl Setup<'_> {
    /// The environment of the command: the plan's, and where the user is at home.
    pub(super) fn environment(&self) -> Vec<String> {
        let mut env = self.plan.process.env.clone();
        if env::value(&env, "HOME").is_none_or(str::is_empty) {
            env.retain(|entry| !entry.starts_with("HOME="));
            let home = home_of(self.plan.process.credentials.uid);
            env.push(format!("HOME={}", home.as_deref().unwrap_or("/")));
        }
        if self.plan.process.listens {
            env.retain(|entry| !entry.starts_with("LISTEN_PID="));
            env.push(format!("LISTEN_PID={}", getpid().as_raw_nonzero()));
        }
        env
    }

    /// A user without privilege who maps only itself cannot change its groups, nor can what it starts.
    pub(super) fn may_set_groups(&self) -> Result<bool, InitError> {
        self.groups.map_or_else(|| setgroups_allowed(self.proc()?), Ok)
    }

    /// Becomes the plan's user.
    pub(super) fn become_user(&self, may_set_groups: bool) -> Result<(), InitError> {
        let mut credentials = self.plan.process.credentials.clone();
        if !may_set_groups {
            let others = credentials.groups.iter().flatten().any(|group| *group != credentials.gid);
            if others {
                let message = "this user namespace allows no supplementary groups: map a range of \
                               /etc/subgid with newgidmap, or give no additionalGids";
                return Err(InitError::message("setting /process/user/additionalGids", message));
            }
            credentials.groups = None;
        }
        credentials.apply().step("becoming /process/user")
    }

    /// Changes to the working directory, if this user may.
    pub(super) fn try_enter_cwd(&self) -> Result<bool, InitError> {
        match chdir(&self.plan.process.cwd) {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS | Errno::PERM) => Ok(false),
            Err(errno) => Err(errno).step(self.cwd_step()),
        }
    }

    /// Changes to the working directory and makes sure that it is in the container.
    pub(super) fn enter_cwd(&self, entered: bool) -> Result<(), InitError> {
        if !entered {
            chdir(&self.plan.process.cwd).step(self.cwd_step())?;
        }
        // The kernel marks what lies outside the root; a descriptor that leaked in could lead there.
        let here = getcwd(Vec::new()).step(self.cwd_step())?;
        if here.as_bytes().starts_with(b"/") {
            Ok(())
        } else {
            Err(InitError::message(self.cwd_step(), "it lies outside the container's root"))
        }
    }

    fn cwd_step(&self) -> String {
        format!("changing to {} (/process/cwd)", self.plan.process.cwd.display())
    }
}

/// What the caller's user namespace says.
pub(crate) fn setgroups_allowed(proc: &ProcRoot) -> Result<bool, InitError> {
    let step = "reading /proc/self/setgroups";
    let file = proc.open_file("self/setgroups", OFlags::RDONLY).step(step)?;
    let mut answer = [0; 4];
    let length = read(&file, &mut answer).step(step)?;
    Ok(&answer[..length] != b"deny")
}

/// The home directory of `uid` by the container's own user database, which may be anything.
fn home_of(uid: u32) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(Path::new("/etc/passwd"), flags, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    FileType::from_raw_mode(stat.st_mode).is_file().then(|| env::home_of(uid, file))?
}
