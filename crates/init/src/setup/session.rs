//! The process itself: its cgroups, session, keyring and streams.

use std::os::fd::OwnedFd;

use coracle_process::Pty;
use coracle_sys::{Errno, keyring, sched};
use rustix::fs::{FileType, Mode, OFlags, fchown, fcntl_getfl, fstat};
use rustix::process::{Uid, ioctl_tiocsctty, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::Setup;
use crate::InitError;
use crate::error::Step;
use crate::wire::ToHost;

/// Keyring permissions as keyctl_setperm(3) counts them: who possesses it may search it, its user too.
const KEYRING_SEARCH: u32 = 0x0808_0000;

impl Setup<'_> {
    /// Moves this process into the cgroups of v1 hierarchies. In v2 it was born where it belongs.
    ///
    /// A process with one thread that writes 0 to `tasks` moves itself without the kernel's lock on all
    /// forks, which makes it many times faster than any other way.
    pub(super) fn enter_cgroups(&mut self) -> Result<(), InitError> {
        for slot in &self.plan.cgroup.tasks {
            let tasks = self.descriptors.take(*slot)?;
            rustix::io::write(&tasks, b"0").step("entering the cgroup")?;
        }
        Ok(())
    }

    /// Runs where the cgroup allows, or where the plan says. The kernel remembers what the caller was bound
    /// to, in any cgroup.
    pub(super) fn choose_processors(&self) -> Result<(), InitError> {
        match &self.plan.process.cpus.after {
            Some(mask) => sched::set_affinity(mask).step("setting /process/execCPUAffinity/final"),
            None => sched::reset_affinity().step("resetting the CPU affinity"),
        }
    }

    pub(super) fn start_session(&mut self) -> Result<(), InitError> {
        rustix::process::umask(Mode::empty());
        setsid().step("starting a session").map(drop)
    }

    /// Leaves the caller's session keyring for the container's: as the root of its user namespace, to whom the
    /// keyring belongs then.
    pub(super) fn join_keyring(&self) -> Result<(), InitError> {
        let Some(name) = &self.plan.process.keyring else { return Ok(()) };
        let name = std::ffi::CString::new(name.as_str()).step("naming the session keyring")?;
        if let Some(label) = &self.plan.confine.selinux {
            coracle_lsm::set_selinux_key(self.proc()?, label)
                .step("labelling the session keyring (/process/selinuxLabel)")?;
        }
        match keyring::join_session(&name) {
            Ok(serial) => keyring::add_permissions(serial, KEYRING_SEARCH)
                .step("opening the session keyring to its user"),
            // A kernel without keyrings has none to leak.
            Err(error) if error.errno() == Errno::NOSYS => Ok(()),
            Err(error) => Err(error).step("creating a session keyring (see --no-new-keyring)"),
        }
    }

    /// Makes the terminal or the given streams standard input, output and error.
    pub(super) fn connect_streams(&mut self, terminal: Option<Pty>) -> Result<(), InitError> {
        let owner = Uid::from_raw(self.plan.process.credentials.uid);
        if let Some(Pty { controller, user, name }) = terminal {
            fchown(&user, Some(owner), None).step("giving the terminal to the user")?;
            duplicate([&user, &user, &user])?;
            ioctl_tiocsctty(&user).step("making the terminal the controlling one")?;
            let message = ToHost::Terminal { name };
            let controller = std::os::fd::AsFd::as_fd(&controller);
            return self.tell(&message, Some(controller)).step("handing over the terminal");
        }
        let [input, output, error] = self.plan.process.stdio;
        let streams = [input, output, error].map(|slot| self.descriptors.take(slot)).into_iter();
        let streams: Vec<OwnedFd> = streams.collect::<Result<_, _>>()?;
        for stream in &streams {
            give_to(stream, owner, self.plan.process.own_stdio)?;
        }
        match streams.as_slice() {
            [input, output, error] => duplicate([input, output, error]),
            _ => Err(InitError::message("connecting streams", "there must be three")),
        }
    }
}

/// Lets the container's user open its own streams again, as `/dev/stdout`.
///
/// Pipes are between the caller and the container. Files are the container's only if the caller will not
/// go on using them, and not if they are only read; devices, as terminals, never.
fn give_to(stream: &OwnedFd, owner: Uid, own: bool) -> Result<(), InitError> {
    let step = "giving a standard stream to the user";
    let stat = fstat(stream).step(step)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let written =
        || fcntl_getfl(stream).is_ok_and(|flags| flags & OFlags::RWMODE != OFlags::RDONLY);
    let given = kind.is_fifo() || own && kind.is_file() && written();
    if stat.st_uid == owner.as_raw() || !given {
        return Ok(());
    }
    match fchown(stream, Some(owner), None) {
        // A read-only file, or an owner that the user namespace does not map.
        Ok(()) | Err(Errno::PERM | Errno::ROFS | Errno::INVAL) => Ok(()),
        error => error.step(step),
    }
}

fn duplicate([input, output, error]: [&OwnedFd; 3]) -> Result<(), InitError> {
    dup2_stdin(input)
        .and_then(|()| dup2_stdout(output))
        .and_then(|()| dup2_stderr(error))
        .step("connecting standard streams")
}
