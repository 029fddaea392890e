//! The launcher: from the host's namespaces to a child in the container's.

use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use coracle_ns::idmap::write_maps;
use coracle_ns::{NamespaceKind, join_all, unshare};
use coracle_process::{Channel, CloneArgs, Forked, SingleThreaded, fork};
use coracle_sys::procfs::ProcRoot;
use coracle_sys::{exec, fd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, set_dumpable_behavior};
use rustix::thread::UnshareFlags;

use crate::InitError;
use crate::error::Step;
use crate::plan::{BindSource, MountKind, Plan};
use crate::setup::{Setup, Source, Sources};
use crate::wire::{self, Descriptors, ToHost};

/// What the launcher has at hand.
struct Launcher {
    plan: Plan,
    descriptors: Descriptors,
    channel: Channel,
}

/// Runs the program: receives a plan on standard input and becomes the container's first process.
///
/// A program that embeds containers and is its own init calls this when it was started as such, before it
/// starts any thread.
pub fn main() -> ExitCode {
    if std::io::stdin().is_terminal() {
        eprintln!("coracle-init: this program is started by coracle, not by hand");
        return ExitCode::FAILURE;
    }
    // Whatever else the host program has left open ends here.
    if fd::close_all_but(&mut [0, 1, 2]).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let channel = Channel::from(socket);
    let launcher = match wire::receive_plan(&channel).step("receiving the plan") {
        Ok((plan, descriptors)) => Launcher { plan, descriptors, channel },
        Err(error) => {
            report(&channel, error);
            return ExitCode::FAILURE;
        }
    };
    launcher.main()
}

/// Tells the host what failed. If the host has gone there is nobody to tell.
pub(crate) fn report(channel: &Channel, error: InitError) {
    wire::send(channel, &ToHost::Failed(error), None).unwrap_or_default();
}

impl Launcher {
    fn main(mut self) -> ExitCode {
        let forked = match self.fork() {
            Ok(forked) => forked,
            Err(error) => {
                report(&self.channel, error);
                return ExitCode::FAILURE;
            }
        };
        match forked {
            (Forked::Parent { pid, pidfd }, common) => {
                match self.attend_child(pid, &pidfd, common) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => {
                        report(&self.channel, error);
                        ExitCode::FAILURE
                    }
                }
            }
            (Forked::Child, common) => self.become_container(common),
        }
    }

    /// Enters and makes the namespaces.
    fn fork(&mut self) -> Result<(Forked, Common), InitError> {
        let witness = SingleThreaded::witness().step("counting threads")?;
        let proc = ProcRoot::open().step("opening /proc")?;
        self.raise_limits(&proc)?;
        let (cgroup, members) = self.placement()?;
        self.join()?;
        self.new_time(&proc)?;
        let sources = self.sources();
        let (wait, release) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("creating a pipe")?;
        let args = CloneArgs {
            namespaces: self.flags_of_clone().bits().into(),
            parent: true,
            cgroup: cgroup.as_ref().map(AsFd::as_fd),
        };
        let forked = fork(&args, &witness).step("creating the container's process")?;
        Ok((forked, Common { proc, sources, wait, release, members }))
    }

    /// Does for the child what it will have no right to do: it inherits these.
    fn raise_limits(&self, proc: &ProcRoot) -> Result<(), InitError> {
        for rlimit in &self.plan.process.rlimits {
            rlimit.make_room().step("raising resource limits")?;
        }
        if let Some(score) = self.plan.process.oom_score_adj {
            let written = proc.write("self/oom_score_adj", &score.to_string());
            written.step("setting /process/oomScoreAdj (lowering it needs CAP_SYS_RESOURCE)")?;
        }
        Ok(())
    }

    /// The v2 cgroup in which the process is to be born, or the file by which it is moved there.
    ///
    /// Where cgroup namespaces bound what is delegated, nobody in one gets a process into a cgroup outside
    /// of it. By a file that was opened before one is joined it works.
    fn placement(&mut self) -> Result<(Option<OwnedFd>, Option<OwnedFd>), InitError> {
        let Some(slot) = self.plan.cgroup.unified else { return Ok((None, None)) };
        let cgroup = self.descriptors.take(slot)?;
        let mut joined = self.plan.namespaces.join.iter().map(|(kind, _)| *kind);
        if !joined.any(|kind| kind == NamespaceKind::Cgroup) {
            return Ok((Some(cgroup), None));
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let members = openat(&cgroup, "cgroup.procs", flags, Mode::empty());
        Ok((None, Some(members.step("opening cgroup.procs")?)))
    }

    fn join(&mut self) -> Result<(), InitError> {
        let mut joined = Vec::new();
        for (kind, slot) in self.plan.namespaces.join.clone() {
            joined.push((kind, self.descriptors.take(slot)?));
        }
        if !joined.is_empty() {
            // Who is already inside must not trace this process and so get at the host.
            set_dumpable_behavior(DumpableBehavior::NotDumpable).step("hiding from tracers")?;
        }
        let borrowed: Vec<_> = joined.iter().map(|(kind, fd)| (*kind, fd.as_fd())).collect();
        join_all(&borrowed).step("joining namespaces")
    }

    /// A time namespace is entered by later children only, and its clocks can be set until then.
    fn new_time(&self, proc: &ProcRoot) -> Result<(), InitError> {
        if !self.plan.namespaces.create.contains(NamespaceKind::Time) {
            return Ok(());
        }
        unshare(NamespaceKind::Time).step("creating the time namespace")?;
        self.plan.namespaces.time_offsets.apply(proc).step("setting /linux/timeOffsets")
    }

    /// What is mounted from the host. In a new user namespace some of it may be out of reach, so the
    /// launcher lends its rights.
    fn sources(&self) -> Sources {
        let lend = self.plan.namespaces.create.contains(NamespaceKind::User);
        let mounts = &self.plan.mounts;
        let of_step = |kind: &MountKind| match kind {
            MountKind::Bind { source: BindSource::Host(path), recursive } => {
                vec![Source::new(path, *recursive, lend)]
            }
            MountKind::Cgroup { copies, .. } => {
                copies.iter().map(|path| Source::new(path, true, lend)).collect()
            }
            _ => Vec::new(),
        };
        Sources {
            root: Source::root(&mounts.root, lend),
            binds: mounts.steps.iter().map(|step| of_step(&step.kind)).collect(),
        }
    }

    fn flags_of_clone(&self) -> UnshareFlags {
        let mut create = self.plan.namespaces.create;
        // The time namespace is made already; the cgroup namespace starts where the child is then.
        create.remove(NamespaceKind::Time);
        create.remove(NamespaceKind::Cgroup);
        create.flags()
    }

    /// In the launcher: maps ids, tells the host, lets the child go.
    fn attend_child(&self, pid: Pid, pidfd: &OwnedFd, common: Common) -> Result<(), InitError> {
        let Common { proc, release, members, .. } = common;
        if let Some(members) = members {
            rustix::io::write(&members, pid.as_raw_nonzero().to_string().as_bytes())
                .step("entering the cgroup")?;
        }
        let child = ToHost::Child { pid: pid.as_raw_nonzero().get() };
        wire::send(&self.channel, &child, Some(pidfd.as_fd())).step("reporting the process")?;
        let namespaces = &self.plan.namespaces;
        if namespaces.create.contains(NamespaceKind::User) {
            write_maps(&proc, pid, &namespaces.uid_map, &namespaces.gid_map)
                .step("mapping users and groups")?;
        }
        // A child that has failed meanwhile has reported why.
        match rustix::io::write(&release, b"+") {
            Ok(_) | Err(Errno::PIPE) => Ok(()),
            error => error.map(drop).step("releasing the process"),
        }
    }

    /// In the child: never returns, as nothing of the launcher may run twice.
    fn become_container(self, common: Common) -> ! {
        let Self { plan, descriptors, channel } = self;
        let Common { proc, sources, wait, release, members } = common;
        drop((release, members));
        let mut setup = Setup { plan: &plan, descriptors, channel, proc: Some(proc) };
        if let Err(error) = setup.run(sources, wait) {
            report(&setup.channel, error);
        }
        exec::exit_now(1)
    }
}

/// What the launcher has made before the fork, for both sides.
struct Common {
    proc: ProcRoot,
    sources: Sources,
    /// The child waits here until its ids are mapped and it is known to the host.
    wait: OwnedFd,
    release: OwnedFd,
    /// By which the process is moved into its cgroup, if it was not born there.
    members: Option<OwnedFd>,
}
