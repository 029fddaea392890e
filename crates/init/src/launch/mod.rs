//! The launcher: from the host's namespaces to a child in the container's.

mod existing;
mod live;
mod mapped;
mod new;

use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;

use coracle_mount::DetachedMount;
use coracle_ns::NamespaceKind;
use coracle_ns::idmap::write_maps;
use coracle_process::{Channel, CloneArgs, Forked, SingleThreaded, fork};
use coracle_sys::procfs::ProcRoot;
use coracle_sys::{exec, fd, sched};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, set_dumpable_behavior};
use rustix::thread::UnshareFlags;

use crate::InitError;
use crate::error::Step;
use crate::plan::{NewPlan, Place, Plan, Task};
use crate::setup::{Setup, Surroundings};
use crate::wire::{self, Descriptors, ToHost, ToInit};

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
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let number = socket.as_raw_fd();
    let channel = Channel::from(socket);
    // Whatever else the host program has left open ends here.
    let closed = fd::close_all_but(&mut [0, 1, 2, number]).step("closing the host's descriptors");
    let received = closed.and_then(|()| wire::receive_plan(&channel).step("receiving the plan"));
    let launcher = match received {
        Ok((Task::Process(plan), descriptors)) => Launcher { plan: *plan, descriptors, channel },
        Ok((Task::Mounts(plan), mut descriptors)) => {
            let done = live::change(&plan, &mut descriptors);
            let said = done.map_or_else(ToHost::Failed, |()| ToHost::Done);
            let told = wire::send(&channel, &said, None);
            return if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => {
            report(&channel, error);
            return ExitCode::FAILURE;
        }
    };
    launcher.main()
}

/// Tells the host what failed. If the host has gone there is nobody to tell.
fn report(channel: &Channel, error: InitError) {
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
        let (wait, release) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("creating a pipe")?;
        let other = self.second_choice()?;
        let cgroups = match self.plan.place {
            Place::New(_) => [cgroup, None],
            Place::Existing(_) => [self.cut_off(cgroup)?, self.cut_off(other)?],
        };
        let (proc, surroundings, namespaces) = match self.plan.place.clone() {
            Place::New(plan) => {
                let (surroundings, namespaces) = self.prepare_new(&plan, &proc)?;
                (Some(proc), surroundings, namespaces)
            }
            Place::Existing(plan) => {
                let surroundings = self.enter_existing(plan, &proc)?;
                (self.keep_proc(proc), surroundings, UnshareFlags::empty())
            }
        };
        let mut choices = cgroups.iter().flatten().map(AsFd::as_fd);
        let mut args = CloneArgs {
            namespaces: namespaces.bits().into(),
            parent: true,
            cgroup: choices.next(),
        };
        let mut forked = fork(&args, &witness);
        // A cgroup that has given controllers to others below it takes no processes itself.
        if let (Err(coracle_process::Error::Syscall { source, .. }), Some(next)) =
            (&forked, choices.next())
            && matches!(source.errno(), Errno::BUSY | Errno::OPNOTSUPP)
        {
            args.cgroup = Some(next);
            forked = fork(&args, &witness);
        }
        let forked = forked.map_err(|error| {
            let hint = self.remedy(error.errno());
            InitError::new(format!("creating the container's process{hint}"), &error)
        })?;
        Ok((forked, Common { proc, surroundings, wait, release, members }))
    }

    /// What can be done where the kernel makes no process in the namespaces that were asked for.
    fn remedy(&self, errno: Option<Errno>) -> &'static str {
        let Place::New(plan) = &self.plan.place else { return "" };
        match (errno, plan.namespaces.create.contains(NamespaceKind::User)) {
            (Some(Errno::PERM), true) => {
                " (are user namespaces forbidden? sysctl kernel.unprivileged_userns_clone=1 and \
                 kernel.apparmor_restrict_unprivileged_userns=0 allow them)"
            }
            (Some(Errno::PERM), false) => {
                " (only root may do it like this, and in a container only where that one is privileged: \
                 add a user namespace to /linux/namespaces, as coracle spec --rootless does)"
            }
            (Some(Errno::NOSYS), _) => {
                " (in a container, its seccomp profile may hide the call: give it a newer one, or none, as \
                 docker run --security-opt seccomp=unconfined does)"
            }
            (Some(Errno::NOSPC), _) => {
                " (there are too many namespaces: raise sysctl user.max_user_namespaces and its \
                 like)"
            }
            (Some(Errno::USERS), _) => " (user namespaces are 32 deep at most)",
            (Some(Errno::AGAIN), _) => {
                " (there are too many processes: raise pids.max of the cgroup or RLIMIT_NPROC)"
            }
            _ => "",
        }
    }

    /// Does for the child what it will have no right to do: it inherits these.
    fn raise_limits(&self, proc: &ProcRoot) -> Result<(), InitError> {
        let process = &self.plan.process;
        for rlimit in &process.rlimits {
            rlimit.make_room().step("raising limits of /process/rlimits")?;
        }
        if let Some(score) = process.oom_score_adj {
            match proc.write("self/oom_score_adj", &score.value.to_string()) {
                Err(error) if score.lenient && error.errno() == Errno::ACCESS => {}
                written => written
                    .step("setting /process/oomScoreAdj (lowering it needs CAP_SYS_RESOURCE)")?,
            }
        }
        if let Some(mask) = &process.cpus.before {
            sched::set_affinity(mask).step("setting /process/execCPUAffinity/initial")?;
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
        // The process enters the namespaces of an existing container itself, after its birth.
        let joins_namespace = match &self.plan.place {
            Place::New(plan) => plan.namespaces.joins(NamespaceKind::Cgroup),
            Place::Existing(_) => false,
        };
        if !joins_namespace {
            return Ok((Some(cgroup), None));
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let members = openat(&cgroup, "cgroup.procs", flags, Mode::empty());
        Ok((None, Some(members.step("opening cgroup.procs")?)))
    }

    fn second_choice(&mut self) -> Result<Option<OwnedFd>, InitError> {
        self.plan.cgroup.otherwise.map(|slot| self.descriptors.take(slot)).transpose()
    }

    /// The same cgroup, from which no path leads further up. The child has it for a moment, in a place where
    /// others may see what it has: but for the root of another user namespace, who may not look.
    fn cut_off(&self, cgroup: Option<OwnedFd>) -> Result<Option<OwnedFd>, InitError> {
        let Some(cgroup) = cgroup else { return Ok(None) };
        match DetachedMount::copy_of(&cgroup, false) {
            Ok(copy) => Ok(Some(copy.into())),
            Err(_) if self.plan.place.has_user_namespace() => Ok(Some(cgroup)),
            Err(error) => Err(InitError::new("cutting off the cgroup", &error)),
        }
    }

    /// Who is inside a namespace that is entered must not trace this process and so get at the host.
    fn hide_from_tracers() -> Result<(), InitError> {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).step("hiding from tracers")
    }

    /// In the launcher: tells the host, maps ids, waits for devices, lets the child go.
    fn attend_child(&self, pid: Pid, pidfd: &OwnedFd, common: Common) -> Result<(), InitError> {
        let Common { proc, release, members, .. } = common;
        if let Some(members) = members {
            rustix::io::write(&members, pid.as_raw_nonzero().to_string().as_bytes())
                .step("entering the cgroup")?;
        }
        let child = ToHost::Child { pid: pid.as_raw_nonzero().get() };
        wire::send(&self.channel, &child, Some(pidfd.as_fd())).step("reporting the process")?;
        if let (Place::New(plan), Some(proc)) = (&self.plan.place, proc)
            && plan.namespaces.create.contains(NamespaceKind::User)
        {
            let namespaces = &plan.namespaces;
            write_maps(&proc, pid, &namespaces.uid_map, &namespaces.gid_map)
                .step("mapping users and groups")?;
        }
        self.await_devices()?;
        // A child that has failed meanwhile has reported why.
        match rustix::io::write(&release, b"+") {
            Ok(_) | Err(Errno::PIPE) => Ok(()),
            error => error.map(drop).step("releasing the process"),
        }
    }

    /// Kernel parameters of devices are set by the child, so these must be there before it goes on.
    fn await_devices(&self) -> Result<(), InitError> {
        let Place::New(NewPlan { namespaces, .. }) = &self.plan.place else { return Ok(()) };
        if !namespaces.awaits_devices {
            return Ok(());
        }
        let step = "waiting for network devices";
        wire::send(&self.channel, &ToHost::Network, None).step(step)?;
        match wire::receive::<ToInit>(&self.channel).step(step)? {
            Some((ToInit::Go, _)) => Ok(()),
            None => Err(InitError::message(step, "the host has gone")),
        }
    }

    /// In the child: never returns, as nothing of the launcher may run twice.
    fn become_container(self, common: Common) -> ! {
        let Self { plan, descriptors, channel } = self;
        let Common { proc, surroundings, wait, release, members } = common;
        drop((release, members));
        let mut setup =
            Setup { plan: &plan, descriptors, channel: Some(channel), proc, groups: None };
        if let Err(error) = setup.run(surroundings, wait) {
            setup.tell(&ToHost::Failed(error), None).unwrap_or_default();
        }
        exec::exit_now(1)
    }
}

/// What the launcher has made before the fork, for both sides.
struct Common {
    proc: Option<ProcRoot>,
    surroundings: Surroundings,
    /// The child waits here until its ids are mapped and it is known to the host.
    wait: OwnedFd,
    release: OwnedFd,
    /// By which the process is moved into its cgroup, if it was not born there.
    members: Option<OwnedFd>,
}
