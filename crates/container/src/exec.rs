//! Another process in a container that is there.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use coracle_caps::CapSet;
use coracle_cgroup::{Cgroup, CgroupPaths};
use coracle_init::plan::{CgroupEntry, ExistingPlan, OomScoreAdj, Place, Plan};
use coracle_ns::{KindSet, NamespaceKind};
use coracle_process::PidFd;
use coracle_spec::types::Process as ProcessSpec;
use coracle_spec::{LoadedProcess, LoadedSpec, Spec, read_document};

use crate::agent::Agent;
use crate::hooks::HookState;
use crate::launch::{BUILD_TIME, Handover, Launch, Step};
use crate::lower::seccomp::Compiler;
use crate::lower::{LoweredExec, lower_exec};
use crate::options::{Options, Sockets, option_methods};
use crate::process::Notes;
use crate::{Container, Error, Process, Result, Status, modules, oom};

/// How a process is to be started in a container.
///
/// It starts as the container's own process did: with the same environment, user, rights, limits and filter,
/// but for what is changed here.
#[derive(Debug)]
pub struct ExecBuilder {
    container: Container,
    spec: Spec,
    options: Options,
    sub_cgroups: Vec<(String, PathBuf)>,
    ignore_paused: bool,
    notes: Notes,
}

impl Container {
    /// Prepares another process in this container.
    pub fn exec(self) -> Result<ExecBuilder> {
        let path = self.entry.config();
        let config = match read_document(&path) {
            Err(coracle_spec::Error::NoConfig { .. }) => {
                return Err(self.entry.damaged("its configuration is missing"));
            }
            config => config?,
        };
        Ok(ExecBuilder {
            container: self,
            spec: LoadedSpec::parse(&config, &path)?.spec,
            options: Options::default(),
            sub_cgroups: Vec::new(),
            ignore_paused: false,
            notes: Notes::default(),
        })
    }
}

impl ExecBuilder {
    option_methods!();

    /// Takes everything of the process from the document in `json`, as it stands at `/process` of a
    /// configuration; `path` is for messages. What it leaves out of rights and limits is the container's.
    pub fn process(mut self, json: &[u8], path: &Path) -> Result<Self> {
        let LoadedProcess { process: mut given, warnings, .. } = LoadedProcess::parse(json, path)?;
        self.notes.warnings.extend(warnings.iter().map(ToString::to_string));
        let own = std::mem::take(&mut self.spec.process);
        let ProcessSpec { capabilities, apparmor_profile, selinux_label, rlimits, .. } = own;
        if given.capabilities == Default::default() {
            given.capabilities = capabilities;
        }
        if given.rlimits.is_empty() {
            given.rlimits = rlimits;
        }
        given.apparmor_profile = given.apparmor_profile.or(apparmor_profile);
        given.selinux_label = given.selinux_label.or(selinux_label);
        given.oom_score_adj = given.oom_score_adj.or(own.oom_score_adj);
        given.scheduler = given.scheduler.or(own.scheduler);
        given.io_priority = given.io_priority.or(own.io_priority);
        if given.exec_cpu_affinity == Default::default() {
            given.exec_cpu_affinity = own.exec_cpu_affinity;
        }
        given.user.umask = given.user.umask.or(own.user.umask);
        self.spec.process = given;
        Ok(self)
    }

    /// The command; the first is the program.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.spec.process.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable, as `NAME=value`, to the environment.
    #[must_use]
    pub fn env(mut self, variable: impl Into<String>) -> Self {
        self.spec.process.env.push(variable.into());
        self
    }

    /// The working directory, absolute.
    #[must_use]
    pub fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.spec.process.cwd = path.into();
        self
    }

    /// The user, and the group if it is to be another one.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: Option<u32>) -> Self {
        self.spec.process.user.uid = uid;
        self.spec.process.user.gid = gid.unwrap_or(self.spec.process.user.gid);
        self
    }

    /// Adds supplementary groups.
    #[must_use]
    pub fn additional_gids(mut self, gids: impl IntoIterator<Item = u32>) -> Self {
        self.spec.process.user.additional_gids.extend(gids);
        self
    }

    /// Adds a capability, as `CAP_KILL`. It becomes inheritable by no program that is executed later.
    pub fn capability(mut self, name: &str) -> Result<Self> {
        if CapSet::named(name).is_none() {
            let message = format!("{name:?} is no capability: give one as CAP_KILL");
            return Err(Error::Spec { pointer: "/process/capabilities".into(), message });
        }
        let sets = &mut self.spec.process.capabilities;
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.push(name.to_owned());
        }
        if sets.inheritable.iter().any(|inheritable| inheritable == name) {
            sets.ambient.push(name.to_owned());
        }
        Ok(self)
    }

    /// Whether execve(2) never gives the process more rights.
    #[must_use]
    pub fn no_new_privileges(mut self, yes: bool) -> Self {
        self.spec.process.no_new_privileges = yes;
        self
    }

    /// The AppArmor profile.
    #[must_use]
    pub fn apparmor_profile(mut self, name: impl Into<String>) -> Self {
        self.spec.process.apparmor_profile = Some(name.into());
        self
    }

    /// The SELinux label.
    #[must_use]
    pub fn selinux_label(mut self, label: impl Into<String>) -> Self {
        self.spec.process.selinux_label = Some(label.into());
        self
    }

    /// Whether it gets a terminal of the container's: for the [console socket](Self::console_socket) or, if
    /// there is none, for [`Process::take_terminal`].
    #[must_use]
    pub fn terminal(mut self, yes: bool) -> Self {
        self.spec.process.terminal = yes;
        self
    }

    /// Puts the process into a cgroup below the container's: on v1 that of `controller`, on v2 with an empty
    /// `controller`. It must exist.
    #[must_use]
    pub fn sub_cgroup(mut self, controller: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.sub_cgroups.push((controller.into(), path.into()));
        self
    }

    /// In a paused container the process waits, and so does this call, until somebody resumes it.
    #[must_use]
    pub fn ignore_paused(mut self, yes: bool) -> Self {
        self.ignore_paused = yes;
        self
    }

    /// Starts the process, as a child of the caller.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`] if the container has ended or is paused.
    pub fn spawn(mut self) -> Result<Process> {
        check(&self.spec.process)?;
        modules::check(&self.spec.process)?;
        let init = self.container_process()?;
        // It is executed while its plan is made.
        let mut launch = Launch::start(&self.options.init.seal()?)?;
        launch.limit = (!self.ignore_paused).then_some(BUILD_TIME);
        let kinds = namespaces_of(init.0, &init.1)?;
        let available = match kinds.contains(NamespaceKind::User) {
            true => CapSet::ALL,
            false => coracle_caps::available()?,
        };
        let record = self.container.record.as_ref();
        let rootless = record.is_some_and(|record| record.rootless);
        let compiler = Compiler { cache: self.container.entry.filters(), records_denied: false };
        let id = self.container.id();
        let mut lowered = lower_exec(&mut self.spec, id, available, rootless, &compiler)?;
        self.notes.warnings.append(&mut lowered.warnings);
        // Whoever creates containers keeps their filters; it may be somebody else who looks into one.
        self.notes.filter = lowered.filter.as_ref().map(|origin| origin.filter);
        self.options.check_terminal(lowered.process.terminal.is_some())?;
        let sockets = Sockets::connect(&self.options)?;
        let agent = Agent::connect(lowered.agent.take())?;
        let mut handover = Handover::default();
        let cgroup = self.enter_cgroup(init.0, &mut handover)?;
        let existing = ExistingPlan { init: handover.add(init.1), kinds };
        self.options.hand_over(&mut lowered.process, &mut handover)?;
        let LoweredExec { process, confine, .. } = lowered;
        let oom_score_adj = process.oom_score_adj;
        let plan = Plan { place: Place::Existing(existing), cgroup, process, confine };
        if let Some(rdt) = record.and_then(|record| record.rdt.as_ref()) {
            rdt.add(launch.pid())?;
        }
        launch.send(plan, &handover)?;
        self.follow(launch, &sockets, agent.as_ref(), oom_score_adj)
    }

    /// Follows the process to the execution of its command.
    fn follow(
        mut self,
        mut launch: Launch,
        sockets: &Sockets,
        agent: Option<&Agent>,
        oom_score_adj: Option<OomScoreAdj>,
    ) -> Result<Process> {
        let mut terminal = None;
        loop {
            match launch.next()? {
                Step::Terminal { controller, name } => {
                    terminal = sockets.take_terminal((controller, &name), &self.options)?;
                }
                Step::Listener(listener) => self.hand_to_agent(agent, &listener, &launch)?,
                Step::Network | Step::Hooks => launch.go()?,
                Step::Ready => break,
            }
        }
        if let Some(process) = &launch.init {
            sockets.announce(process, "setns", &self.options)?;
            self.notes.warnings.extend(oom::warning(oom_score_adj, process.pid));
        }
        launch.go()?;
        launch.executed()?;
        Ok(Process::new(launch.finish()?, terminal, self.notes))
    }

    fn hand_to_agent(
        &self,
        agent: Option<&Agent>,
        listener: &OwnedFd,
        launch: &Launch,
    ) -> Result<()> {
        let (Some(agent), Some(process)) = (agent, &launch.init) else { return Ok(()) };
        let Some(record) = &self.container.record else { return Ok(()) };
        let (status, pidfd) = self.container.inspect()?;
        let init = record.init.as_ref().filter(|_| pidfd.is_some());
        let pid = init.map(|init| init.init_process_pid);
        agent.take(listener, process.pid, HookState::new(record, Some(status), pid))
    }

    /// The container's first process, if it is in a state that allows another one.
    fn container_process(&self) -> Result<(i32, PidFd)> {
        let (status, pidfd) = self.container.inspect()?;
        let hint = match status {
            Status::Created | Status::Running => None,
            Status::Paused if self.ignore_paused => None,
            Status::Paused => Some("resume it first, or give --ignore-paused"),
            Status::Creating => Some("it is not ready yet"),
            Status::Stopped => Some("it has ended: create it again"),
        };
        let record = self.container.record.as_ref().and_then(|record| record.init.as_ref());
        match (hint, record, pidfd) {
            (None, Some(init), Some(pidfd)) => Ok((init.init_process_pid, pidfd)),
            _ => Err(Error::WrongState {
                id: self.container.id().to_owned(),
                operation: "execute a process in",
                status,
                hint,
            }),
        }
    }

    /// Opens the cgroup for the process: the container's, or the one that was asked for.
    fn enter_cgroup(&self, init: i32, handover: &mut Handover) -> Result<CgroupEntry> {
        let Some(mut paths) = self.container.entry.read_cgroup()? else {
            return Ok(CgroupEntry::default());
        };
        for (controller, path) in &self.sub_cgroups {
            choose(&mut paths, controller, path)?;
        }
        let cgroup = Cgroup::open(&paths)?;
        let otherwise = match u32::try_from(init) {
            Ok(init) if self.sub_cgroups.is_empty() => cgroup.open_below_of(init)?,
            _ => None,
        };
        Ok(handover.add_cgroup(cgroup.entry()?, otherwise))
    }
}

/// Replaces the cgroup of `controller`, and of those that share its hierarchy, by one below it; without a
/// controller, that of each.
fn choose(paths: &mut CgroupPaths, controller: &str, path: &Path) -> Result<()> {
    let refused = |message: String| Error::Spec { pointer: "--cgroup".into(), message };
    let relative = path.strip_prefix("/").unwrap_or(path);
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(refused(format!("{} must stay below the container's cgroup", path.display())));
    }
    let meant = paths.iter().filter(|(name, _)| controller.is_empty() || *name == controller);
    let meant: BTreeSet<PathBuf> = meant.map(|(_, path)| path.clone()).collect();
    if meant.is_empty() {
        let known = paths.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(refused(format!("there is no cgroup of {controller:?}, but of {known}")));
    }
    for path in paths.values_mut().filter(|path| meant.contains(*path)) {
        path.push(relative);
        if !path.is_dir() {
            return Err(refused(format!("{} does not exist: make it first", path.display())));
        }
    }
    Ok(())
}

/// What the checks of documents would refuse, in a process that was changed afterwards.
fn check(process: &ProcessSpec) -> Result<()> {
    let refused = |pointer: &str, message: &str| Error::Spec {
        pointer: pointer.to_owned(),
        message: message.to_owned(),
    };
    if process.args.first().is_none_or(String::is_empty) {
        return Err(refused("/process/args", "must not be empty: name the program to run"));
    }
    if !process.cwd.is_absolute() {
        return Err(refused("/process/cwd", "must be absolute"));
    }
    if let Some(entry) = process.env.iter().find(|entry| entry.find('=').is_none_or(|at| at == 0)) {
        let message = format!("{entry:?} is no variable: give NAME=value");
        return Err(refused("/process/env", &message));
    }
    Ok(())
}

/// The namespaces of the process that are not the caller's.
pub(crate) fn namespaces_of(pid: i32, pidfd: &PidFd) -> Result<KindSet> {
    let mut kinds = KindSet::default();
    for kind in NamespaceKind::ALL {
        let path = |process: &str| format!("/proc/{process}/ns/{}", kind.file_name());
        let identity = |path: String| match std::fs::metadata(&path) {
            Ok(found) => Ok(Some((found.dev(), found.ino()))),
            // A kernel without this kind, or a process that has ended.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("look at", path, error)),
        };
        if identity(path(&pid.to_string()))? != identity(path("self"))? {
            kinds.insert(kind);
        }
    }
    if pidfd.is_alive()? { Ok(kinds) } else { Err(Error::NotRunning) }
}
