//! `floor ROOTFS COMMAND [ARGUMENTS]`: what the kernel alone costs of a container.
//!
//! The namespaces and mounts of the usual configuration, the root exchanged, the command executed and
//! waited for. No configuration, limits, devices, masks, confinement or checks: this is no runtime, but
//! nothing that does the same can be faster.

#![forbid(unsafe_code)]

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::Context;
use coracle_process::{CloneArgs, Forked, PidFd, SingleThreaded, fork};
use coracle_sys::exec::{execve, exit_now};
use rustix::fs::{Mode, mkdir};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use rustix::process::{chdir, pivot_root};
use rustix::thread::UnshareFlags;

const NAMESPACES: UnshareFlags = UnshareFlags::NEWNS
    .union(UnshareFlags::NEWPID)
    .union(UnshareFlags::NEWNET)
    .union(UnshareFlags::NEWIPC)
    .union(UnshareFlags::NEWUTS)
    .union(UnshareFlags::NEWCGROUP);

const NOTHING: MountFlags = MountFlags::empty();
const NOSUID_NOEXEC: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);
const SAFE: MountFlags = NOSUID_NOEXEC.union(MountFlags::NODEV);

/// Type, directory, flags and parameters; the directory is made where the mount before is a new tmpfs.
const MOUNTS: [(&str, &str, MountFlags, &str); 6] = [
    ("proc", "proc", NOTHING, ""),
    ("tmpfs", "dev", MountFlags::NOSUID, "mode=755,size=65536k"),
    ("devpts", "dev/pts", NOSUID_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
    ("tmpfs", "dev/shm", SAFE, "mode=1777,size=65536k"),
    ("mqueue", "dev/mqueue", SAFE, ""),
    ("sysfs", "sys", SAFE.union(MountFlags::RDONLY), ""),
];

const CGROUP: &str = "sys/fs/cgroup";

struct Container {
    rootfs: CString,
    args: Vec<CString>,
    /// The hierarchies of cgroup v1, as `cpu,cpuacct`; none on a host with only v2.
    hierarchies: Vec<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = env::args_os().skip(1).map(|arg| CString::new(OsString::into_vec(arg)));
    let mut args = args.collect::<Result<Vec<_>, _>>()?;
    anyhow::ensure!(args.len() >= 2, "usage: floor ROOTFS COMMAND [ARGUMENTS]");
    let container = Container { rootfs: args.remove(0), args, hierarchies: hierarchies()? };
    let flags = CloneArgs { namespaces: NAMESPACES.bits().into(), ..CloneArgs::default() };
    match fork(&flags, &SingleThreaded::witness()?)? {
        Forked::Parent { pidfd, .. } => Ok(ExitCode::from(PidFd::from(pidfd).wait()?.code())),
        Forked::Child => {
            let Err(error) = container.enter_and_execute();
            eprintln!("floor: {error:#}");
            exit_now(1)
        }
    }
}

/// The hierarchies of cgroup v1, from lines like `7:cpu,cpuacct:/`.
fn hierarchies() -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string("/proc/self/cgroup").context("cannot read /proc/self/cgroup")?;
    let names = text.lines().filter_map(|line| line.split(':').nth(1));
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

impl Container {
    fn enter_and_execute(&self) -> anyhow::Result<std::convert::Infallible> {
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        mount_bind(&self.rootfs, &self.rootfs).context("cannot mount the root file system")?;
        chdir(&self.rootfs)?;
        for (fstype, directory, flags, data) in MOUNTS {
            if directory.starts_with("dev/") {
                mkdir(directory, Mode::from_bits_truncate(0o755))?;
            }
            mount_on(directory, fstype, flags, data)?;
        }
        self.mount_cgroups()?;
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        chdir("/")?;
        Err(execve(&self.args[0], &self.args, &[]).into())
    }

    fn mount_cgroups(&self) -> anyhow::Result<()> {
        if self.hierarchies.is_empty() {
            return mount_on(CGROUP, "cgroup2", SAFE | MountFlags::RDONLY, "");
        }
        mount_on(CGROUP, "tmpfs", SAFE, "mode=755")?;
        for name in &self.hierarchies {
            let directory = format!("{CGROUP}/{}", name.trim_start_matches("name="));
            mkdir(&directory, Mode::from_bits_truncate(0o755))?;
            let none = if name.starts_with("name=") { "none," } else { "" };
            mount_on(&directory, "cgroup", SAFE | MountFlags::RDONLY, &format!("{none}{name}"))?;
        }
        Ok(())
    }
}

fn mount_on(directory: &str, fstype: &str, flags: MountFlags, data: &str) -> anyhow::Result<()> {
    let data = CString::new(data)?;
    mount(fstype, directory, fstype, flags, data.as_c_str())
        .with_context(|| format!("cannot mount {fstype} on {directory}"))
}
