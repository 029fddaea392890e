//! Containers one after the other, and what each start took.

use std::fs;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use coracle::{Bundle, ContainerBuilder, ExitStatus, InitExe, Stdio, Store};
use tempfile::TempDir;

use crate::watchdog::Watchdog;

const CONFIG: &str = include_str!("../config.json");

/// Everything that all containers have in common.
pub struct Starts {
    directory: TempDir,
    init: InitExe,
    null: File,
    watchdog: Watchdog,
    /// How many there were.
    count: usize,
}

impl Starts {
    pub fn prepare() -> anyhow::Result<Self> {
        // In memory, as /run is on most hosts.
        let directory =
            tempfile::Builder::new().prefix("coracle-stress-").tempdir_in("/dev/shm")?;
        let rootfs = directory.path().join("rootfs");
        for name in ["bin", "dev", "proc", "sys"] {
            fs::create_dir_all(rootfs.join(name))?;
        }
        fs::copy("/bin/busybox", rootfs.join("bin/busybox"))
            .context("cannot copy /bin/busybox: is busybox-static installed?")?;
        symlink("busybox", rootfs.join("bin/true"))?;
        let cgroup = format!("/coracle-stress-{}", process::id());
        let config = CONFIG.replace("/coracle-bench", &cgroup);
        fs::write(directory.path().join("config.json"), config)?;
        let init = InitExe::Sealed(InitExe::default().seal()?);
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(Self { directory, init, null, watchdog: Watchdog::start()?, count: 0 })
    }

    /// Starts a container, waits for its end and deletes it. How long the start took.
    pub fn start(&mut self) -> anyhow::Result<Duration> {
        self.count += 1;
        self.start_one().with_context(|| format!("container {}", self.count))
    }

    fn start_one(&self) -> anyhow::Result<Duration> {
        let watched = self.watchdog.watch();
        let store = Store::new(self.path("store"));
        let id = format!("stress-{}", self.count);
        let begin = Instant::now();
        let running = ContainerBuilder::new(&id, Bundle::open(self.path(""))?)?
            .init_exe(self.init.clone())
            .stdio(self.stdio()?)
            .run(&store)?;
        let time = begin.elapsed();
        let status = running.wait()?;
        ensure!(status == ExitStatus::Exited(0), "its command ended with {status}");
        running.into_container().delete()?;
        drop(watched);
        Ok(time)
    }

    fn stdio(&self) -> anyhow::Result<Stdio> {
        let null = || self.null.try_clone().map(OwnedFd::from).map(Some);
        Ok(Stdio { input: null()?, output: null()?, error: null()? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
