//! Creating a container: the record first, then what it records.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coracle_cgroup::{Cgroup, CgroupPath, CgroupRoot, Permissions, Skipped};
use coracle_init::plan::{MountKind, MountStep, Slot, StartGate};
use coracle_ns::{NamespaceKind, NsFd};
use coracle_process::{ProcessRef, keep_newlines};
use coracle_spec::types::NamespaceType;
use coracle_spec::{LoadedSpec, Spec};

use crate::console::DescriptorSocket;
use crate::launch::{Handover, Launch, Step};
use crate::lower::{Context, Lowered, kind_of_sysctl, lower};
use crate::running::Warnings;
use crate::state::{InitRecord, Record};
use crate::store::{Entry, Lock, write_atomically};
use crate::{ContainerBuilder, Created, Error, Result, Rootless, Running, Store};

/// How long the kernel may take to let go of a cgroup that is undone.
const UNDO_DEADLINE: Duration = Duration::from_secs(10);

/// A container being created. Dropped before the end, it takes back all that was done.
#[derive(Debug)]
pub(crate) struct Creation {
    builder: ContainerBuilder,
    lowered: Lowered,
    handover: Handover,
    console: Option<DescriptorSocket>,
    pidfd_socket: Option<DescriptorSocket>,
    permissions: Permissions,
    warnings: Warnings,
    undo: Undo,
}

/// What is there so far.
#[derive(Debug)]
struct Undo {
    entry: Entry,
    lock: Option<Lock>,
    record: Record,
    cgroup: Option<Cgroup>,
}

impl Creation {
    /// Checks everything that can be checked without a side effect, and claims the id.
    pub(crate) fn begin(builder: ContainerBuilder, store: &Store) -> Result<Self> {
        let LoadedSpec { spec, warnings, .. } = builder.bundle.load()?;
        let rootless = is_rootless(builder.rootless);
        let cgroups = CgroupRoot::discover()?;
        let cgroup_path = cgroup_path(&spec, builder.id.as_str())?;
        let cgroup_paths = cgroups.paths(&cgroup_path)?;
        let context = Context {
            id: builder.id.as_str(),
            bundle: builder.bundle.dir(),
            cgroups: &cgroups,
            cgroup_paths: &cgroup_paths,
            own_cgroup_namespace: has_own_cgroup_namespace(&spec),
            capabilities: coracle_caps::available()?,
            rootless,
            no_pivot: builder.no_pivot,
            no_new_keyring: builder.no_new_keyring,
        };
        let mut lowered = lower(&spec, &context)?;
        let mut said: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        said.append(&mut lowered.warnings);
        let permissions = if rootless { Permissions::BestEffort } else { Permissions::Required };
        check_terminal(&builder, lowered.plan.process.terminal.is_some())?;
        let connect =
            |path: &Option<PathBuf>| path.as_deref().map(DescriptorSocket::connect).transpose();
        let console = connect(&builder.console_socket)?;
        let pidfd_socket = connect(&builder.pidfd_socket)?;
        check_root(&lowered)?;
        let record = record(&spec, &builder, &lowered, (cgroup_paths, rootless));
        let (entry, lock) = store.claim(&builder.id)?;
        let mut undo = Undo { entry, lock: Some(lock), record, cgroup: None };
        undo.entry.write(&undo.record)?;
        let cgroup = undo.cgroup.insert(Cgroup::create(&cgroups, &cgroup_path, permissions)?);
        undo.entry.write_cgroup(&cgroup.paths())?;
        let warnings = Warnings(said);
        let handover = Handover::default();
        Ok(Self { builder, lowered, handover, console, pidfd_socket, permissions, warnings, undo })
    }

    /// Leaves the container waiting for its start.
    pub(crate) fn create(mut self) -> Result<Created> {
        let [start, result] = self.undo.entry.make_fifos()?.map(|fifo| self.handover.add(fifo));
        self.lowered.plan.process.gate = StartGate::Fifo { start, result };
        let mut launch = self.launch()?;
        self.build(&mut launch)?;
        launch.go()?;
        let init = launch.finish()?;
        let (container, warnings) = self.finish();
        Ok(Created::new(container, init, warnings))
    }

    /// Starts the container's command at once.
    pub(crate) fn run(mut self) -> Result<Running> {
        let mut launch = self.launch()?;
        let terminal = self.build(&mut launch)?;
        launch.go()?;
        launch.executed()?;
        let init = launch.finish()?;
        let (container, warnings) = self.finish();
        Ok(Running::new(container, init, terminal, warnings))
    }

    /// Limits the cgroup, gathers the descriptors and starts the init program.
    fn launch(&mut self) -> Result<Launch> {
        let exe = self.builder.init.seal()?;
        show_what_is_there(&mut self.lowered.plan.mounts.steps);
        if let Some(cgroup) = &self.undo.cgroup {
            let skipped = cgroup.set(&self.lowered.resources, self.permissions)?;
            if self.lowered.wants_limits {
                self.warnings.0.extend(unlimited(cgroup.skipped().iter().chain(&skipped)));
            }
            let entry = cgroup.entry()?;
            let plan = &mut self.lowered.plan.cgroup;
            plan.unified = entry.unified.map(|directory| self.handover.add(directory));
            plan.tasks = entry.tasks.into_iter().map(|file| self.handover.add(file)).collect();
        }
        for (kind, path) in std::mem::take(&mut self.lowered.join) {
            let namespace = NsFd::open(&path, kind)?;
            self.refuse_changes_of_host(&namespace)?;
            let slot = self.handover.add(namespace);
            self.lowered.plan.namespaces.join.push((kind, slot));
        }
        if self.lowered.plan.process.terminal.is_none() {
            let streams = std::mem::take(&mut self.builder.stdio).resolve()?;
            // In the foreground they stay the caller's.
            self.lowered.plan.process.own_stdio = self.builder.detached;
            self.lowered.plan.process.stdio = streams.map(|stream| self.handover.add(stream));
        }
        let preserved = std::mem::take(&mut self.builder.preserved);
        let slots: Vec<Slot> = preserved.into_iter().map(|fd| self.handover.add(fd)).collect();
        self.lowered.plan.process.preserved = slots;
        Launch::start(&exe, &self.lowered.plan, &self.handover)
    }

    /// A namespace to be joined may be the host's own, whose names and kernel parameters are not the
    /// container's.
    fn refuse_changes_of_host(&self, namespace: &NsFd) -> Result<()> {
        let plan = &self.lowered.plan.namespaces;
        let kind = namespace.kind();
        let sysctl = plan.sysctls.iter().find(|(path, _)| kind_of_sysctl(path) == kind);
        let names = [("/hostname", &plan.hostname), ("/domainname", &plan.domainname)];
        let name = names.iter().find(|(_, name)| kind == NamespaceKind::Uts && name.is_some());
        let pointer = sysctl
            .map(|(path, _)| format!("/linux/sysctl ({path})"))
            .or(name.map(|(pointer, _)| (*pointer).to_owned()));
        let Some(pointer) = pointer.filter(|_| namespace.is_callers()) else { return Ok(()) };
        let message =
            format!("would change the host: the {kind} namespace to be joined is the host's");
        Err(Error::Spec { pointer, message })
    }

    /// Follows the init program to the point where all is done; returns the terminal that nobody took.
    fn build(&mut self, launch: &mut Launch) -> Result<Option<OwnedFd>> {
        let mut terminal = None;
        while let Step::Terminal { controller, name } = launch.next()? {
            match &self.console {
                Some(console) => console.send(&controller, &name)?,
                None => {
                    // Before the command writes its first line.
                    keep_newlines(&controller)?;
                    self.builder.window_size.map(|size| size.apply(&controller)).transpose()?;
                    terminal = Some(controller);
                }
            }
        }
        let Some(init) = &launch.init else {
            return Err(Error::Launch("it made no process".into()));
        };
        self.undo.record.init = Some(InitRecord::new(ProcessRef::new(init.pid, &init.pidfd)?));
        self.undo.entry.write(&self.undo.record)?;
        if let Some(socket) = &self.pidfd_socket {
            socket.send(&init.pidfd, "standard")?;
        }
        if let Some(path) = &self.builder.pid_file {
            write_atomically(path, init.pid.to_string().as_bytes(), 0o644)
                .map_err(|error| Error::file("write", path, error))?;
        }
        Ok(terminal)
    }

    /// The container stays.
    fn finish(self) -> (crate::Container, Warnings) {
        let Self { undo, warnings, .. } = self;
        (undo.keep(), warnings)
    }
}

impl Undo {
    fn keep(mut self) -> crate::Container {
        self.lock = None;
        crate::Container::new(self.entry.clone(), Some(self.record.clone()))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        if let Some(cgroup) = &self.cgroup {
            // What cannot be undone stays recorded, for `delete --force`.
            if cgroup.kill(UNDO_DEADLINE).and_then(|()| cgroup.remove(UNDO_DEADLINE)).is_err() {
                return;
            }
        }
        self.entry.remove().unwrap_or_default();
        drop(lock);
    }
}

/// Somebody must take the terminal, and a socket for one must be for something.
fn check_terminal(builder: &ContainerBuilder, terminal: bool) -> Result<()> {
    match (terminal, builder.detached, builder.console_socket.is_some()) {
        (true, true, false) => Err(Error::Usage(
            "cannot allocate a terminal for a detached container: give --console-socket or unset \
             /process/terminal",
        )),
        (false, _, true) => Err(Error::Usage(
            "--console-socket is for containers with a terminal: leave it out or set /process/terminal",
        )),
        (true, false, true) => Err(Error::Usage(
            "--console-socket is for detached containers: leave it out or add --detach",
        )),
        _ => Ok(()),
    }
}

/// Where the container's cgroup could not be made, it is shown what it is in.
fn show_what_is_there(steps: &mut [MountStep]) {
    let copies = steps.iter_mut().filter_map(|step| match &mut step.kind {
        MountKind::Cgroup { copies, .. } => Some(copies),
        _ => None,
    });
    for copy in copies.flatten() {
        while !copy.is_dir() && copy.pop() {}
    }
}

/// One line for all controllers that are not used: they mostly have one reason.
fn unlimited<'skipped>(skipped: impl Iterator<Item = &'skipped Skipped>) -> Option<String> {
    let mut skipped = skipped.peekable();
    let reason = skipped.peek()?.reason.to_string();
    let mut names: Vec<_> = skipped.map(Skipped::name).collect();
    names.sort_unstable();
    names.dedup();
    Some(format!("nothing is limited by {}: {reason}", names.join(", ")))
}

fn is_rootless(asked: Rootless) -> bool {
    match asked {
        Rootless::Yes => true,
        Rootless::No => false,
        Rootless::Auto => !rustix::process::geteuid().is_root() || in_user_namespace(),
    }
}

/// The initial user namespace maps every id onto itself.
fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let initial = ["0", "0", "4294967295"];
    !map.is_empty() && !map.split_ascii_whitespace().eq(initial)
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

fn cgroup_path(spec: &Spec, id: &str) -> Result<CgroupPath> {
    let given = spec.linux.cgroups_path.as_deref().unwrap_or(Path::new(""));
    Ok(CgroupPath::for_container(given, id)?)
}

fn check_root(lowered: &Lowered) -> Result<()> {
    let root = &lowered.plan.mounts.root;
    let message = match root.canonicalize() {
        Ok(found) if found == *root && root.is_dir() => return Ok(()),
        Ok(found) if found == *root => "is not a directory".to_owned(),
        Ok(found) => format!("leads to {} by a symbolic link", found.display()),
        Err(error) => format!("cannot be used: {error}"),
    };
    let message = format!("{} {message}: give a directory with a root file system", root.display());
    Err(Error::Spec { pointer: "/root/path".into(), message })
}

fn record(
    spec: &Spec,
    builder: &ContainerBuilder,
    lowered: &Lowered,
    (cgroup_paths, rootless): (coracle_cgroup::CgroupPaths, bool),
) -> Record {
    let namespaces = &lowered.plan.namespaces;
    Record {
        oci_version: spec.oci_version.clone(),
        id: builder.id.to_string(),
        bundle: builder.bundle.dir().to_owned(),
        rootfs: lowered.plan.mounts.root.clone(),
        created: crate::container::now(),
        owner: rustix::process::geteuid().as_raw().to_string(),
        rootless,
        annotations: spec.annotations.clone(),
        cgroup_paths,
        own_pid_namespace: namespaces.create.contains(NamespaceKind::Pid),
        init: None,
    }
}
