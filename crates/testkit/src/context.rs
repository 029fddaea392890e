//! What a test has at hand.

use std::cell::{Cell, OnceCell};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use serde_json::Value;

use crate::audit::{Scope, Sentinel};
use crate::rootfs::Template;
use crate::stage::{is_apart, work_directory};
use crate::{Bundle, Cmd, Container, Flavour, Host, Output, Result, Runtime, check, eventually};

/// The user that unprivileged commands run as, when the tests run as root.
const USER: u32 = 1000;

/// What all tests of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) host: Host,
    pub(crate) scope: Scope,
    /// See [`Suite::judge_others_by_damage`](crate::Suite::judge_others_by_damage).
    pub(crate) by_damage: bool,
    runtime: Runtime,
    work: PathBuf,
    contexts: AtomicU32,
    template: Template,
    /// What `spec` and `spec --rootless` write.
    specs: [Value; 2],
}

impl Shared {
    pub(crate) fn prepare(tag: &str, by_damage: bool) -> Result<Self> {
        let work = work_directory(tag);
        let host = Host::inspect()?;
        let found = Runtime::find()?;
        let name = found.path().file_name().unwrap_or_default();
        let runtime = found.copied_to(work.join(name))?;
        let scratch = work.join("spec");
        fs::create_dir(&scratch)?;
        let specs = [runtime.spec(&scratch, &[])?, runtime.spec(&scratch, &["--rootless"])?];
        fs::remove_dir(&scratch)?;
        let reaper = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
        let private = if is_apart() { &["/run", "/dev/shm"][..] } else { &[] };
        let private = private.iter().map(PathBuf::from).collect();
        let hierarchies = host.hierarchies().into_iter().map(Path::to_owned).collect();
        let scope = Scope { tag: tag.to_owned(), reaper, hierarchies, private };
        let template = Template::make(&work)?;
        Ok(Self {
            host,
            scope,
            by_damage,
            runtime,
            work,
            contexts: AtomicU32::new(0),
            template,
            specs,
        })
    }
}

/// What a test has at hand.
#[derive(Debug)]
pub struct Context {
    shared: Arc<Shared>,
    directory: PathBuf,
    next: Cell<u32>,
    sentinel: OnceCell<Sentinel>,
}

impl Context {
    /// The directory's name is short: the address of a socket has 108 bytes.
    pub(crate) fn new(shared: Arc<Shared>) -> Result<Self> {
        let number = shared.contexts.fetch_add(1, Ordering::Relaxed);
        let directory = shared.work.join(number.to_string());
        fs::create_dir(&directory)?;
        let context = Self { shared, directory, next: Cell::new(0), sentinel: OnceCell::new() };
        fs::create_dir(context.temporary())?;
        fs::set_permissions(context.temporary(), fs::Permissions::from_mode(0o1777))?;
        Ok(context)
    }

    /// The directories in which the runtime must not leave anything.
    pub(crate) fn must_be_empty(&self) -> [PathBuf; 2] {
        [self.store(), self.temporary()]
    }

    /// What has become of the tree that stands for the host, if there is one.
    pub(crate) fn damages(&self) -> Result<Vec<String>> {
        self.sentinel.get().map_or_else(|| Ok(Vec::new()), Sentinel::changes)
    }

    pub(crate) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.directory)?)
    }

    /// What this machine has.
    pub fn host(&self) -> &Host {
        &self.shared.host
    }

    /// The command under test.
    pub fn runtime(&self) -> &Runtime {
        &self.shared.runtime
    }

    /// Is it ours?
    pub fn is_coracle(&self) -> bool {
        self.runtime().flavour() == Flavour::Coracle
    }

    /// A path of this test alone.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A tree that stands for the host. If anything in it has changed when the test ends, the test fails.
    pub fn sentinel(&self) -> Result<&Path> {
        if self.sentinel.get().is_none() {
            let planted = Sentinel::plant(self.path("host"))?;
            return Ok(self.sentinel.get_or_init(|| planted).root());
        }
        self.sentinel.get().map(Sentinel::root).context("it is planted")
    }

    /// Fails the test now if the tree that stands for the host has changed.
    pub fn check_sentinel(&self) -> Result<()> {
        let damages = self.damages()?;
        check!(damages.is_empty(), "{}", damages.join("\n"));
        Ok(())
    }

    /// Where the runtime keeps its state.
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    fn temporary(&self) -> PathBuf {
        self.path("tmp")
    }

    /// A name that nobody else uses, for containers and cgroups.
    pub fn id(&self) -> String {
        let number = self.next.get();
        self.next.set(number + 1);
        let test = self.directory.file_name().unwrap_or_default().to_string_lossy();
        format!("{}-{test}-{number}", self.shared.scope.tag)
    }

    /// The runtime with its global flags.
    pub fn command(&self) -> Cmd {
        let command = self.runtime().command().arg("--root").arg(self.store());
        command.env("TMPDIR", self.temporary())
    }

    /// A new bundle: what `spec` writes, with a root file system, and `true` as its command.
    pub fn bundle(&self) -> Result<Bundle> {
        self.new_bundle(usize::from(!self.host().is_root()))
    }

    /// A new bundle for a user without privileges.
    pub fn rootless_bundle(&self) -> Result<Bundle> {
        self.new_bundle(1)
    }

    fn new_bundle(&self, spec: usize) -> Result<Bundle> {
        let directory = self.path(&format!("bundle-{}", self.id()));
        self.shared.template.link_to(&directory.join("rootfs"))?;
        let bundle = Bundle::new(directory, self.shared.specs[spec].clone()).args(&["true"]);
        Ok(match self.runtime().flavour() {
            // They know older versions only.
            Flavour::Crun | Flavour::Runc => bundle.set("/ociVersion", "1.0.2"),
            _ => bundle,
        })
    }

    /// Runs a container in the foreground to its end.
    pub fn run(&self, bundle: &Bundle) -> Result<Output> {
        self.run_with(bundle, &[])?.run()
    }

    /// The command that runs a container in the foreground, with more flags.
    pub fn run_with(&self, bundle: &Bundle, flags: &[&str]) -> Result<Cmd> {
        bundle.write()?;
        let command = self.command().arg("run").arg("--bundle").arg(bundle.directory());
        Ok(command.args(flags).arg(self.id()))
    }

    /// As [`run_with`](Self::run_with), and the id of the container.
    pub fn run_as(&self, bundle: &Bundle, flags: &[&str]) -> Result<(Cmd, String)> {
        let command = self.run_with(bundle, flags)?;
        let id = command.words().last().map(|id| id.to_string_lossy().into_owned());
        Ok((command, id.unwrap_or_default()))
    }

    /// Freezes the cgroup that a process is in.
    pub fn freeze(&self, pid: i32) -> Result<()> {
        let cgroup = self.host().cgroup_of(pid, "freezer")?;
        if self.host().is_v1("freezer") {
            fs::write(cgroup.join("freezer.state"), "FROZEN")?;
            return eventually("the freezer", || {
                let state = fs::read_to_string(cgroup.join("freezer.state"))?;
                Ok((state.trim() == "FROZEN").then_some(()))
            });
        }
        fs::write(cgroup.join("cgroup.freeze"), "1")?;
        eventually("the freezer", || {
            let events = fs::read_to_string(cgroup.join("cgroup.events"))?;
            Ok(events.contains("frozen 1").then_some(()))
        })
    }

    /// Runs a script in an ordinary container; its output, if it succeeds.
    pub fn script(&self, script: &str) -> Result<Output> {
        self.run(&self.bundle()?.script(script))?.expect(0)
    }

    /// Creates a container.
    pub fn create(&self, bundle: &Bundle) -> Result<Container> {
        self.create_with(bundle, &[])
    }

    /// Creates a container with more flags.
    pub fn create_with(&self, bundle: &Bundle, flags: &[&str]) -> Result<Container> {
        self.create_by(self.command(), bundle, flags)
    }

    /// Creates a container by another form of the runtime's command.
    pub fn create_by(&self, command: Cmd, bundle: &Bundle, flags: &[&str]) -> Result<Container> {
        bundle.write()?;
        let id = self.id();
        let runtime: Vec<OsString> = command.words().to_vec();
        let command = command.arg("create").arg("--bundle").arg(bundle.directory());
        let created = command.args(flags).arg(&id).succeed()?;
        Ok(Container::new(id, runtime, created))
    }

    /// Creates and starts a container.
    pub fn start(&self, bundle: &Bundle) -> Result<Container> {
        let container = self.create(bundle)?;
        container.start()?;
        Ok(container)
    }

    /// The same command as a user without privileges: as it is, if the tests have none.
    pub fn as_user(&self, command: Cmd) -> Cmd {
        if !self.host().is_root() {
            return command;
        }
        let [uid, gid] = [format!("--reuid={USER}"), format!("--regid={USER}")];
        command.through(["setpriv", &uid, &gid, "--clear-groups"])
    }

    /// Gives a file, or a directory with all in it, to the user of [`as_user`](Self::as_user).
    pub fn give_to_user(&self, path: &Path) -> Result<()> {
        if !self.host().is_root() {
            return Ok(());
        }
        if !path.is_symlink() && path.is_dir() {
            for entry in fs::read_dir(path)? {
                self.give_to_user(&entry?.path())?;
            }
            chown(path, Some(USER), Some(USER))?;
        } else if !path.ends_with("busybox") {
            // That one is shared by all root file systems.
            lchown(path, Some(USER), Some(USER))?;
        }
        Ok(())
    }
}
