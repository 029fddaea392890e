//! Creating a container: the record first, then what it records.

use std::ffi::OsString;
use std::mem::take;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use coracle_init::plan::{
    BindPlan, BindSource, CgroupEntry, HooksPlan, MountKind, MountStep, MountsPlan, NewPlan, Place,
    Plan, StartGate,
};
use coracle_mount::Attributes;
use coracle_ns::{NamespaceKind, NsFd};
use coracle_process::env;
use coracle_rdt::Resctrl;
use coracle_spec::types::NamespaceType;
use coracle_spec::{LoadedSpec, Spec};
use coracle_sys::{Errno, SyscallError};

use crate::agent::Agent;
use crate::builder::Activation;
use crate::hooks::{self, HookState, HookTime, RecordedHooks};
use crate::launch::{BUILD_TIME, Handover, Init, Launch, Step};
use crate::lower::seccomp::Compiler;
use crate::lower::{Context, Lowered, WantedDevice, kind_of_sysctl, lower};
use crate::options::Sockets;
use crate::placement::{Placement, show_what_is_there, unlimited};
use crate::process::Notes;
use crate::rdt::RdtRecord;
use crate::state::Record;
use crate::undo::Undo;
use crate::{
    Container, ContainerBuilder, Created, Error, NotifyProxy, Process, Result, Running, Status,
    Store, devices, modules, notify, oom,
};

/// A container being created. Dropped before the end, it takes back all that was done.
#[derive(Debug)]
pub(crate) struct Creation {
    builder: ContainerBuilder,
    lowered: Lowered,
    handover: Handover,
    sockets: Sockets,
    agent: Option<Agent>,
    warnings: Vec<String>,
    /// The init program, until it gets its plan.
    launch: Option<Launch>,
    undo: Undo,
}

impl Creation {
    /// Checks everything that can be checked without a side effect, and claims the id. The init program is
    /// executed meanwhile, to wait for its plan.
    pub(crate) fn begin(builder: ContainerBuilder, store: &Store) -> Result<Self> {
        let config = builder.bundle.read()?;
        let launch = Launch::start(&builder.options.init.seal()?)?;
        let LoadedSpec { mut spec, warnings, .. } =
            LoadedSpec::parse(&config, builder.bundle.config_path())?;
        modules::check(&spec.process)?;
        if let Some(denied) = &builder.denied {
            denied.lift(&mut spec)?;
        }
        let rootless = builder.rootless.is_so();
        let placement = Placement::choose(&spec, builder.id.as_str(), builder.systemd, rootless)?;
        let cgroup_paths = placement.paths()?;
        let context = Context {
            id: builder.id.as_str(),
            bundle: builder.bundle.dir(),
            root: &find_root(&spec, builder.bundle.dir())?,
            cgroups: &placement.root,
            cgroup_paths: &cgroup_paths,
            own_cgroup_namespace: has_own_cgroup_namespace(&spec),
            capabilities: coracle_caps::available()?,
            rootless,
            no_pivot: builder.no_pivot,
            no_new_keyring: builder.no_new_keyring,
        };
        let compiler =
            Compiler { cache: store.filters(), records_denied: builder.denied.is_some() };
        let mut lowered = lower(&mut spec, &context, &compiler)?;
        let mut said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        said.append(&mut lowered.warnings);
        builder.options.check_terminal(lowered.process.terminal.is_some())?;
        let sockets = Sockets::connect(&builder.options)?;
        let agent = Agent::connect(lowered.agent.take())?;
        let devices = devices::find(&lowered.devices)?;
        let mut record = record(&spec, &builder, &lowered, (cgroup_paths, rootless));
        record.systemd = placement.record();
        record.rdt = match &lowered.rdt {
            Some(rdt) => Some(RdtRecord::choose(&Resctrl::discover()?, rdt, &record.id)?),
            None => None,
        };
        let (entry, lock) = store.claim(&builder.id)?;
        let mut undo = Undo::new((entry, lock), record, placement);
        undo.entry.write(&undo.record)?;
        undo.entry.write_config(&config)?;
        if !devices.is_empty() {
            undo.entry.write_devices(&devices)?;
        }
        undo.own(undo.placement.make()?)?;
        let handover = Handover::default();
        let mut creation = Self {
            builder,
            lowered,
            handover,
            sockets,
            agent,
            warnings: said,
            launch: Some(launch),
            undo,
        };
        creation.connect_with_service_manager()?;
        Ok(creation)
    }

    /// What the service manager of the host is to know of the container, and the container of it.
    fn connect_with_service_manager(&mut self) -> Result<()> {
        let Lowered { mounts, process, .. } = &mut self.lowered;
        if self.builder.notify.is_some() {
            let source = BindSource::Host(self.undo.entry.make_notify()?);
            mounts.steps.push(MountStep {
                name: "NOTIFY_SOCKET".into(),
                path: notify::DIRECTORY.into(),
                kind: MountKind::Bind(BindPlan::new(source)),
                attributes: Attributes::default(),
            });
            process.env.push(notify::VARIABLE.into());
        }
        if let Some(Activation { mut sockets, names }) = self.builder.activation.take() {
            process.env.push(format!("LISTEN_FDS={}", sockets.len()));
            process.env.extend(names.map(|names| format!("LISTEN_FDNAMES={names}")));
            process.listens = true;
            sockets.append(&mut self.builder.options.preserved);
            self.builder.options.preserved = sockets;
        }
        env::deduplicate(&mut process.env);
        Ok(())
    }

    /// Leaves the container waiting for its start.
    pub(crate) fn create(mut self) -> Result<Created> {
        let [start, result] = self.undo.entry.make_fifos()?.map(|fifo| self.handover.add(fifo));
        self.lowered.process.gate = StartGate::Fifo { start, result };
        let init = self.leave_waiting().map_err(|error| self.give_up(error))?;
        let (container, notes) = self.finish();
        Ok(Created::new(container, Process::new(init, None, notes)))
    }

    /// Starts the container's command at once.
    pub(crate) fn run(mut self) -> Result<Running> {
        let manager = self.builder.notify.take();
        let open = |manager: OsString| NotifyProxy::open(&self.undo.entry.notify(), &manager);
        let notify = manager.map(open).transpose()?;
        let (init, terminal) = self.start_at_once().map_err(|error| self.give_up(error))?;
        let (container, notes) = self.finish();
        Ok(Running::new(container, Process::new(init, terminal, notes), notify))
    }

    fn leave_waiting(&mut self) -> Result<Init> {
        let mut launch = self.launch()?;
        self.build(&mut launch)?;
        launch.go()?;
        launch.finish()
    }

    fn start_at_once(&mut self) -> Result<(Init, Option<OwnedFd>)> {
        let mut launch = self.launch()?;
        let terminal = self.build(&mut launch)?;
        launch.go()?;
        launch.executed()?;
        let record = &self.undo.record;
        hooks::run(&record.hooks.poststart, record, Status::Running)?;
        Ok((launch.finish()?, terminal))
    }

    /// Takes all back. The error is why.
    fn give_up(&mut self, error: Error) -> Error {
        let error = self.explain(error);
        match self.undo.take_back() {
            warnings if warnings.is_empty() => error,
            warnings => Error::Undone { source: Box::new(error), warnings },
        }
    }

    /// Says of a process that ended without a word if the kernel killed it for its memory.
    fn explain(&self, error: Error) -> Error {
        let Error::Launch(how) = &error else { return error };
        let stats = self.undo.cgroup.as_ref().and_then(|cgroup| cgroup.stats().ok());
        let kills = stats.and_then(|stats| stats.memory?.oom_kills).unwrap_or_default();
        if kills == 0 {
            return error;
        }
        let limit = self.lowered.resources.memory.limit.unwrap_or_default();
        Error::Launch(format!(
            "{how}; the kernel killed it because the memory limit of {limit} bytes is too low for the \
             set-up: raise /linux/resources/memory/limit"
        ))
    }

    /// Limits the cgroup, gathers the descriptors and gives the init program its plan.
    fn launch(&mut self) -> Result<Launch> {
        let launch = self.launch.take();
        let mut launch = launch.ok_or_else(|| Error::Launch("it has its plan already".into()))?;
        let hooks = &self.lowered.hooks;
        let times = [&hooks.create_container, &hooks.start_container];
        // Those of the start are waited for here only if the container starts at once.
        let waited = if self.lowered.process.gate == StartGate::Message { 2 } else { 1 };
        let time = HookTime::of(times.into_iter().take(waited).flatten());
        launch.limit = time.beyond(BUILD_TIME);
        self.undo.launched = true;
        self.undo.placement.leave_room(&mut self.lowered.resources);
        self.undo.make_unit(launch.pid(), &self.lowered.resources)?;
        if let (Some(record), Some(rdt)) = (&self.undo.record.rdt, &self.lowered.rdt) {
            record.make(rdt)?;
            record.add(launch.pid())?;
        }
        show_what_is_there(&mut self.lowered.mounts.steps);
        let cgroup = self.enter_cgroup()?;
        for (kind, path) in take(&mut self.lowered.join) {
            let namespace = NsFd::open(&path, kind)?;
            self.refuse_changes_of_host(&namespace)?;
            if kind == NamespaceKind::Net {
                devices::lend(&self.undo.entry, &self.lowered.devices, &namespace)?;
            }
            let slot = self.handover.add(namespace);
            self.lowered.namespaces.join.push((kind, slot));
        }
        self.builder.options.hand_over(&mut self.lowered.process, &mut self.handover)?;
        launch.send(self.plan(cgroup)?, &self.handover)?;
        Ok(launch)
    }

    /// Everything for the init program, which takes over from here.
    fn plan(&mut self, cgroup: CgroupEntry) -> Result<Plan> {
        let Lowered { namespaces, mounts, process, confine, hooks, .. } = &mut self.lowered;
        let state = hooks::unfinished_state(&self.undo.record)?;
        let hooks = HooksPlan {
            host: !hooks.create_runtime.is_empty(),
            create_container: hooks.create_container.clone(),
            start_container: hooks.start_container.clone(),
            state,
        };
        // The steps are most of it.
        let steps = take(&mut mounts.steps);
        let mounts = MountsPlan { steps, ..mounts.clone() };
        let place = NewPlan { namespaces: take(namespaces), mounts, hooks };
        Ok(Plan {
            place: Place::New(place),
            cgroup,
            process: process.clone(),
            confine: take(confine),
        })
    }

    /// Limits the cgroup and opens it for the process.
    fn enter_cgroup(&mut self) -> Result<CgroupEntry> {
        let Some(cgroup) = &self.undo.cgroup else { return Ok(CgroupEntry::default()) };
        let skipped = cgroup.set(&self.lowered.resources, self.undo.placement.permissions)?;
        if self.lowered.wants_limits {
            self.warnings.extend(unlimited(cgroup.skipped().iter().chain(&skipped)));
        }
        Ok(self.handover.add_cgroup(cgroup.entry()?, None))
    }

    /// A namespace to be joined may be the host's own, whose names and kernel parameters are not the
    /// container's.
    fn refuse_changes_of_host(&self, namespace: &NsFd) -> Result<()> {
        let Lowered { namespaces: plan, devices, .. } = &self.lowered;
        let kind = namespace.kind();
        let sysctl = plan.sysctls.iter().find(|(path, _)| kind_of_sysctl(path) == kind);
        let names = [("/hostname", &plan.hostname), ("/domainname", &plan.domainname)];
        let name = names.iter().find(|(_, name)| kind == NamespaceKind::Uts && name.is_some());
        let device = devices.first().filter(|_| kind == NamespaceKind::Net);
        let pointer = sysctl
            .map(|(path, _)| format!("/linux/sysctl ({path})"))
            .or(device.map(WantedDevice::pointer))
            .or(name.map(|(pointer, _)| (*pointer).to_owned()));
        let Some(pointer) = pointer.filter(|_| namespace.is_callers()) else { return Ok(()) };
        let message =
            format!("would change the host: the {kind} namespace to be joined is the host's");
        Err(Error::Spec { pointer, message })
    }

    /// Follows the init program to the point where all is done; returns the terminal that nobody took.
    fn build(&mut self, launch: &mut Launch) -> Result<Option<OwnedFd>> {
        let options = &self.builder.options;
        let mut terminal = None;
        loop {
            match launch.next()? {
                Step::Terminal { controller, name } => {
                    terminal = self.sockets.take_terminal((controller, &name), options)?;
                }
                Step::Listener(listener) => self.hand_to_agent(listener, launch)?,
                Step::Network => {
                    let path = format!("/proc/{}/ns/net", self.undo.write_init(launch)?.pid);
                    let namespace = NsFd::open(path, NamespaceKind::Net)?;
                    devices::lend(&self.undo.entry, &self.lowered.devices, &namespace)?;
                    launch.go()?;
                }
                Step::Hooks => {
                    self.undo.write_init(launch)?;
                    let hooks = &self.lowered.hooks.create_runtime;
                    hooks::run(hooks, &self.undo.record, Status::Creating)?;
                    launch.go()?;
                }
                Step::Ready => break,
            }
        }
        self.undo.placement.take_room_back(self.undo.cgroup.as_ref())?;
        let init = self.undo.write_init(launch)?;
        self.warnings.extend(oom::warning(self.lowered.process.oom_score_adj, init.pid));
        self.sockets.announce(init, "standard", options)?;
        self.undo.pid_file.clone_from(&options.pid_file);
        Ok(terminal)
    }

    fn hand_to_agent(&self, listener: OwnedFd, launch: &Launch) -> Result<()> {
        if let Some(denied) = &self.builder.denied {
            return denied.serve(listener);
        }
        let (Some(agent), Some(init)) = (&self.agent, &launch.init) else { return Ok(()) };
        let state = HookState::new(&self.undo.record, Some(Status::Creating), Some(init.pid));
        agent.take(&listener, init.pid, state)
    }

    /// The container stays.
    fn finish(self) -> (Container, Notes) {
        let Self { undo, mut warnings, lowered, .. } = self;
        let filter = lowered.filter.map(|origin| {
            let (filter, problem) = origin.keep(&undo.entry.filters());
            warnings.extend(problem.map(|problem| problem.to_string()));
            filter
        });
        (undo.keep(), Notes { warnings, filter })
    }
}

/// A new one, or one to be joined that is not the caller's.
fn has_own_cgroup_namespace(spec: &Spec) -> bool {
    let mut namespaces = spec.linux.namespaces.iter();
    let found = namespaces.find(|namespace| namespace.kind == NamespaceType::Cgroup);
    let is_callers = |path: &PathBuf| {
        NsFd::open(path, NamespaceKind::Cgroup).is_ok_and(|namespace| namespace.is_callers())
    };
    found.is_some_and(|namespace| !namespace.path.as_ref().is_some_and(is_callers))
}

/// The root file system by its only name without links, which nobody can lead elsewhere later.
fn find_root(spec: &Spec, bundle: &Path) -> Result<PathBuf> {
    let given = bundle.join(&spec.root.path);
    let found = given.canonicalize().and_then(|found| match found.is_dir() {
        true => Ok(found),
        false => Err(Errno::NOTDIR.into()),
    });
    found.map_err(|error| {
        let error = SyscallError::from_io("open", given.display().to_string(), &error);
        let message = format!("{error}: give a directory with a root file system");
        Error::Spec { pointer: "/root/path".into(), message }
    })
}

fn record(
    spec: &Spec,
    builder: &ContainerBuilder,
    lowered: &Lowered,
    (cgroup_paths, rootless): (coracle_cgroup::CgroupPaths, bool),
) -> Record {
    let hooks = &lowered.hooks;
    Record {
        oci_version: spec.oci_version.clone(),
        id: builder.id.to_string(),
        bundle: builder.bundle.dir().to_owned(),
        rootfs: lowered.mounts.root.clone(),
        created: crate::container::now(),
        owner: rustix::process::geteuid().as_raw().to_string(),
        rootless,
        annotations: spec.annotations.clone(),
        cgroup_paths,
        systemd: None,
        own_pid_namespace: lowered.namespaces.create.contains(NamespaceKind::Pid),
        hooks: RecordedHooks {
            poststart: hooks.poststart.clone(),
            poststop: hooks.poststop.clone(),
            start_container: HookTime::of(&hooks.start_container),
        },
        rdt: None,
        init: None,
    }
}
