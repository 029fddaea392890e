//! The launcher: from the host's namespaces to a child in the container's.

use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use coracle_ns::idmap::write_maps;
use coracle_ns::{NamespaceKind, join_all, unshare};
use coracle_process::{Channel, CloneArgs, Forked, SingleThreaded, fork};
use coracle_sys::procfs::ProcRoot;
use coracle_sys::{exec, fd};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, set_dumpable_behavior};
use rustix::thread::UnshareFlags;

use crate::InitError;
use crate::error::Step;
use crate::plan::{BindSource, MountKind, Plan};
use crate::setup::{self, Source, Sources};
use crate::wire::{self, Descriptors, ToHost};

/// What the launcher has at hand.
struct Launcher {
    plan: Plan,
    descriptors: Descriptors,
    channel: Channel,
    proc: ProcRoot,
}

/// Runs the program: receives a plan on standard input and becomes the container's first process.
///
/// A program that embeds containers and is its own init calls this when it was started as such, before it
/// starts any thread.
pub fn main() -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let channel = Channel::from(socket);
    if std::io::stdin().is_terminal() {
        eprintln!("coracle-init: this program is started by coracle, not by hand");
        return ExitCode::FAILURE;
    }
    match prepare(&channel).and_then(|launcher| launcher.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&channel, error);
            ExitCode::FAILURE
        }
    }
}

/// Tells the host what failed. If the host has gone there is nobody to tell.
pub(crate) fn report(channel: &Channel, error: InitError) {
    wire::send(channel, &ToHost::Failed(error), None).unwrap_or_default();
}

fn prepare(channel: &Channel) -> Result<Launcher, InitError> {
    // Whatever the host program has left open ends here.
    fd::cloexec_from(3).step("closing the host's descriptors")?;
    let (plan, descriptors) = wire::receive_plan(channel).step("receiving the plan")?;
    let channel = channel.as_fd().try_clone_to_owned().map(Channel::from);
    let channel = channel.step("keeping the socket")?;
    let proc = ProcRoot::open().step("opening /proc")?;
    Ok(Launcher { plan, descriptors, channel, proc })
}

impl Launcher {
    fn run(mut self) -> Result<(), InitError> {
        let witness = SingleThreaded::witness().step("counting threads")?;
        self.raise_limits()?;
        self.join()?;
        self.new_time()?;
        let sources = self.open_sources()?;
        let cgroup =
            self.plan.cgroup.unified.map(|slot| self.descriptors.take(slot)).transpose()?;
        let (release, wait) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map(|(read, write)| (write, read))
            .step("creating a pipe")?;
        let args = CloneArgs {
            namespaces: self.flags_of_clone().bits().into(),
            parent: true,
            cgroup: cgroup.as_ref().map(AsFd::as_fd),
        };
        match fork(&args, &witness).step("creating the container's process")? {
            Forked::Parent { pid, pidfd } => self.attend_child(pid, pidfd, release),
            Forked::Child => {
                drop((release, cgroup));
                self.become_container(sources, &wait)
            }
        }
    }

    /// Does for the child what it will have no right to do: it inherits these.
    fn raise_limits(&self) -> Result<(), InitError> {
        for rlimit in &self.plan.process.rlimits {
            rlimit.make_room().step("raising resource limits")?;
        }
        if let Some(score) = self.plan.process.oom_score_adj {
            let written = self.proc.write("self/oom_score_adj", &score.to_string());
            written.step("setting /process/oomScoreAdj (lowering it needs CAP_SYS_RESOURCE)")?;
        }
        Ok(())
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
    fn new_time(&self) -> Result<(), InitError> {
        if !self.plan.namespaces.create.contains(NamespaceKind::Time) {
            return Ok(());
        }
        unshare(NamespaceKind::Time).step("creating the time namespace")?;
        self.plan.namespaces.time_offsets.apply(&self.proc).step("setting /linux/timeOffsets")
    }

    /// Opens what is bind-mounted from the host, which the container's user may not be able to reach.
    fn open_sources(&self) -> Result<Sources, InitError> {
        let mounts = &self.plan.mounts;
        let root = Source::open(&mounts.root, true).step("opening /root/path")?;
        let mut binds = Vec::new();
        for step in &mounts.steps {
            let opened = match &step.kind {
                MountKind::Bind { source: BindSource::Host(path), recursive } => {
                    vec![Source::open(path, *recursive)]
                }
                MountKind::Cgroup { copies, .. } => {
                    copies.iter().map(|path| Source::open(path, true)).collect()
                }
                _ => Vec::new(),
            };
            let opened: Result<Vec<_>, _> = opened.into_iter().collect();
            binds.push(opened.step(format!("opening the source of {}", step.name))?);
        }
        Ok(Sources { root, binds })
    }

    fn flags_of_clone(&self) -> UnshareFlags {
        let mut create = self.plan.namespaces.create;
        // The time namespace is made already; the cgroup namespace starts where the child is then.
        create.remove(NamespaceKind::Time);
        create.remove(NamespaceKind::Cgroup);
        create.flags()
    }

    /// In the launcher: maps ids, tells the host, lets the child go.
    fn attend_child(self, pid: Pid, pidfd: OwnedFd, release: OwnedFd) -> Result<(), InitError> {
        let child = ToHost::Child { pid: pid.as_raw_nonzero().get() };
        wire::send(&self.channel, &child, Some(pidfd.as_fd())).step("reporting the process")?;
        let namespaces = &self.plan.namespaces;
        if namespaces.create.contains(NamespaceKind::User) {
            write_maps(&self.proc, pid, &namespaces.uid_map, &namespaces.gid_map)
                .step("mapping users and groups")?;
        }
        // A child that has failed meanwhile has reported why.
        match rustix::io::write(&release, b"+") {
            Ok(_) | Err(Errno::PIPE) => Ok(()),
            error => error.map(drop).step("releasing the process"),
        }
    }

    /// In the child: never returns, as nothing of the launcher may run twice.
    fn become_container(self, sources: Sources, wait: &OwnedFd) -> ! {
        let Self { plan, descriptors, channel, proc } = self;
        let released = || {
            // Without the byte the launcher has failed, and reported it.
            matches!(rustix::io::read(wait, &mut [0]), Ok(1))
        };
        let container = setup::Setup { plan: &plan, descriptors, channel: &channel, proc: &proc };
        if let Err(error) = container.run(sources, released) {
            report(&channel, error);
        }
        exec::exit_now(1)
    }
}
