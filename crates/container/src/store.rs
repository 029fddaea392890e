//! The directory in which containers are recorded: one directory each.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coracle_cgroup::CgroupPaths;
use coracle_seccomp::Cache;
use coracle_spec::ContainerId;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, mkfifoat, open};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::in_user_namespace;
use crate::devices::LentDevice;
use crate::state::Record;
use crate::{Container, Error, Result};

const STATE: &str = "state.json";
/// What a created container waits at, and where it says why it could not start.
const FIFO: &str = "exec.fifo";
const RESULT: &str = "exec.result";
/// Where the container's cgroup is. Exists when it is the container's and nobody else's.
const CGROUP: &str = "cgroup.json";

/// The network devices that the container has from the host, and what keeps their namespace alive.
const DEVICES: &str = "net.json";
const NETWORK: &str = "net";

/// Where the socket is that the container reports its readiness to.
const NOTIFY: &str = "notify";
/// The configuration that the container was created from, whatever becomes of the bundle's.
const CONFIG: &str = "config.json";

/// The directory of compiled filters; no container has such an id.
const FILTERS: &str = "@seccomp";

/// How long to wait for another process that is working on the same container.
const LOCK_DEADLINE: Duration = Duration::from_secs(30);

/// Where containers are recorded.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `/run/coracle` for root, `$XDG_RUNTIME_DIR/coracle` for everybody else; also for a user who is root
    /// in a user namespace, as under podman, which `USER` tells.
    pub fn open_default() -> Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
        let is_root = rustix::process::geteuid().is_root();
        if is_root && (runtime.is_none() || !is_user_as_root()) {
            return Ok(Self::new("/run/coracle"));
        }
        let message = "XDG_RUNTIME_DIR is not set: set it to a directory of yours or give --root";
        runtime.map(|path| Self::new(Path::new(&path).join("coracle"))).ok_or(Error::Usage(message))
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The seccomp filters that were compiled for its containers.
    pub(crate) fn filters(&self) -> Cache {
        Cache::new(self.root.join(FILTERS))
    }

    /// The container `id`.
    pub fn container(&self, id: &ContainerId) -> Result<Container> {
        let entry = Entry { directory: self.root.join(id.as_str()), id: id.to_string() };
        Container::load(entry)
    }

    /// All containers, by id; an error in the place of each whose record cannot be read. A store that does
    /// not exist has none.
    pub fn list(&self) -> Result<Vec<Result<Container>>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("read", &self.root, error)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<_> = names.filter_map(|name| ContainerId::parse(&name).ok()).collect();
        ids.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        let load = |id: &ContainerId| match self.container(id) {
            // It went while we looked.
            Err(Error::NotFound(_)) => None,
            loaded => Some(loaded),
        };
        Ok(ids.iter().filter_map(load).collect())
    }

    /// Claims `id` for a new container. Of several callers one wins.
    pub(crate) fn claim(&self, id: &ContainerId) -> Result<(Entry, Lock)> {
        // The directory's mode must not depend on the caller's umask.
        let private = |path: &Path, recursive| {
            DirBuilder::new().mode(0o700).recursive(recursive).create(path)
        };
        private(&self.root, true).map_err(|error| Error::file("create", &self.root, error))?;
        self.check_root()?;
        let entry = Entry { directory: self.root.join(id.as_str()), id: id.to_string() };
        private(&entry.directory, false).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::AlreadyExists(id.to_string()),
            _ => Error::file("create", &entry.directory, error),
        })?;
        match entry.lock() {
            // A `delete --force` removed it before it was locked.
            Err(Error::NotFound(_)) => self.claim(id),
            // Then somebody else made it again, and whoever locks it first has it.
            Ok(_) if !entry.is_empty()? => Err(Error::AlreadyExists(id.to_string())),
            lock => Ok((entry, lock?)),
        }
    }

    /// Who can write to the store aims what root kills and deletes.
    fn check_root(&self) -> Result<()> {
        let failure = |error| Error::file("check", &self.root, error);
        let found = fs::metadata(&self.root).map_err(failure)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::Usage(
                "the directory of --root belongs to another user: take another one",
            ));
        }
        if found.mode() & 0o022 != 0 {
            let private = fs::Permissions::from_mode(found.mode() & 0o1700);
            fs::set_permissions(&self.root, private).map_err(failure)?;
        }
        Ok(())
    }

    /// The entry of `id`, whatever is in it; nothing if there is none.
    pub(crate) fn entry(&self, id: &ContainerId) -> Option<Entry> {
        let entry = Entry { directory: self.root.join(id.as_str()), id: id.to_string() };
        entry.directory.is_dir().then_some(entry)
    }
}

/// A container's directory in the store.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    directory: PathBuf,
    pub(crate) id: String,
}

/// The right to change a container. It ends with the process that has it.
#[derive(Debug)]
pub(crate) struct Lock(OwnedFd);

impl Lock {
    /// The same lock for another process: it is held until both have ended.
    pub(crate) fn share(&self) -> Result<OwnedFd> {
        self.0.try_clone().map_err(|error| Error::file("share", "the lock", error))
    }
}

impl Entry {
    /// Waits for whoever is working on the container.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let deadline = Instant::now() + LOCK_DEADLINE;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(Error::Timeout(
                    "waiting for another process that works on the container",
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_empty(&self) -> Result<bool> {
        let failure = |error| Error::file("read", &self.directory, error);
        Ok(fs::read_dir(&self.directory).map_err(failure)?.next().is_none())
    }

    /// Is somebody working on the container?
    pub(crate) fn is_locked(&self) -> Result<bool> {
        Ok(self.try_lock()?.is_none())
    }

    fn try_lock(&self) -> Result<Option<Lock>> {
        let failure = |errno: Errno| Error::file("lock", &self.directory, errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let directory = match open(&self.directory, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Err(Error::NotFound(self.id.clone())),
            Err(errno) => return Err(failure(errno)),
        };
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(failure(errno)),
        }
        // It may have been removed, and another made in its place, before it was locked.
        let locked = fstat(&directory).map_err(failure)?;
        match fs::symlink_metadata(&self.directory) {
            Ok(now) if (now.dev(), now.ino()) == (locked.st_dev, locked.st_ino) => {
                Ok(Some(Lock(directory)))
            }
            _ => Err(Error::NotFound(self.id.clone())),
        }
    }

    /// Records the container; a reader sees the old record or the new one.
    pub(crate) fn write(&self, record: &Record) -> Result<()> {
        let path = self.directory.join(STATE);
        let failure = |error| Error::file("write", &path, error);
        let bytes = serde_json::to_vec(record).map_err(|error| failure(error.into()))?;
        write_atomically(&path, &bytes, 0o600).map_err(failure)
    }

    /// The record; nothing if there is none yet or never was.
    pub(crate) fn read(&self) -> Result<Option<Record>> {
        let path = self.directory.join(STATE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return if self.directory.is_dir() {
                    Ok(None)
                } else {
                    Err(Error::NotFound(self.id.clone()))
                };
            }
            Err(error) => return Err(Error::file("read", path, error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| self.damaged(error.to_string()))
    }

    pub(crate) fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::Damaged { id: self.id.clone(), reason: reason.into() }
    }

    /// Makes the FIFOs of the start, and opens them for the container's process: in both directions, so that
    /// opening waits for nobody and the other end never seems gone.
    pub(crate) fn make_fifos(&self) -> Result<[OwnedFd; 2]> {
        let make = |name| {
            let path = self.directory.join(name);
            let failure = |errno: Errno| Error::file("create", &path, errno);
            mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).map_err(failure)?;
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            open(&path, flags, Mode::empty()).map_err(failure)
        };
        Ok([make(FIFO)?, make(RESULT)?])
    }

    /// Removes them.
    pub(crate) fn remove_fifos(&self) -> Result<()> {
        for path in [self.fifo(), self.result()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes that the cgroup was found free and taken.
    pub(crate) fn write_cgroup(&self, paths: &CgroupPaths) -> Result<()> {
        self.write_note(CGROUP, paths)
    }

    /// Notes which devices are about to be the container's, or are.
    pub(crate) fn write_devices(&self, devices: &[LentDevice]) -> Result<()> {
        self.write_note(DEVICES, devices)
    }

    /// These devices.
    pub(crate) fn read_devices(&self) -> Result<Vec<LentDevice>> {
        Ok(self.read_note(DEVICES)?.unwrap_or_default())
    }

    /// Where their network namespace is mounted.
    pub(crate) fn network(&self) -> PathBuf {
        self.directory.join(NETWORK)
    }

    fn write_note(&self, name: &str, note: &(impl Serialize + ?Sized)) -> Result<()> {
        let path = self.directory.join(name);
        let failure = |error| Error::file("write", &path, error);
        let bytes = serde_json::to_vec(note).map_err(|error| failure(error.into()))?;
        write_atomically(&path, &bytes, 0o600).map_err(failure)
    }

    fn read_note<N: DeserializeOwned>(&self, name: &str) -> Result<Option<N>> {
        let path = self.directory.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                let damaged = |error: serde_json::Error| self.damaged(format!("{name}: {error}"));
                serde_json::from_slice(&bytes).map(Some).map_err(damaged)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", path, error)),
        }
    }

    /// The seccomp filters that were compiled for containers of the store.
    pub(crate) fn filters(&self) -> Cache {
        Cache::new(self.directory.with_file_name(FILTERS))
    }

    /// Keeps the configuration, for processes that join the container later.
    pub(crate) fn write_config(&self, config: &[u8]) -> Result<()> {
        let path = self.config();
        write_atomically(&path, config, 0o600).map_err(|error| Error::file("write", &path, error))
    }

    /// Makes the directory for the socket of readiness, which everybody in the container may look into.
    pub(crate) fn make_notify(&self) -> Result<PathBuf> {
        let path = self.notify();
        let failure = |error| Error::file("create", &path, error);
        fs::create_dir(&path).map_err(failure)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(failure)?;
        Ok(path)
    }

    /// The directory for the socket of readiness.
    pub(crate) fn notify(&self) -> PathBuf {
        self.directory.join(NOTIFY)
    }

    /// Where the configuration is kept.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join(CONFIG)
    }

    /// The cgroup that was taken.
    pub(crate) fn read_cgroup(&self) -> Result<Option<CgroupPaths>> {
        self.read_note(CGROUP)
    }

    /// Where the container's process says why it could not start.
    pub(crate) fn result(&self) -> PathBuf {
        self.directory.join(RESULT)
    }

    /// The FIFO at which the container waits for its start.
    pub(crate) fn fifo(&self) -> PathBuf {
        self.directory.join(FIFO)
    }

    /// Forgets the container.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::file("remove", &self.directory, error))
            }
            _ => Ok(()),
        }
    }
}

/// Is this somebody else than root who became it in a user namespace?
fn is_user_as_root() -> bool {
    in_user_namespace() && std::env::var_os("USER").is_none_or(|name| name != "root")
}

/// Writes a file that is there whole or not at all.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or(OsStr::new("file")).to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    // What is there is of a process that had this number before, or a trap; it is not written through.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || {
        let mut file: File =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        drop(file);
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // The error to report is why it could not be written.
        fs::remove_file(&temporary).unwrap_or_default();
    })
}
