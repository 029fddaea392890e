//! The cache of what a guest boots from.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use rustix::fs::{FlockOperation, flock};

use super::options::Kernel;
use super::{linux, rootfs};
use crate::packages;

/// What the names of unfinished builds begin with.
const WORK: &str = "work-";

/// The built files.
pub struct Image {
    /// A directory with the files that [`linux::build`] names.
    pub linux: PathBuf,
    /// A directory with the files that [`rootfs::build`] names.
    pub rootfs: PathBuf,
}

impl Image {
    /// Takes the image from the cache, or builds it. Needs root and Debian for the latter.
    pub fn get(kernel: Kernel) -> anyhow::Result<Self> {
        let cache = cache_directory()?;
        let linux = linux::recipe(kernel);
        let image = Self {
            linux: cache.join(format!("linux-{}-{}", kernel.version(), key(&linux))),
            rootfs: cache.join(format!("rootfs-{}", key(rootfs::RECIPE))),
        };
        if image.is_built() && packages::missing(packages::GUEST)?.is_empty() {
            return Ok(image);
        }
        if !rustix::process::geteuid().is_root() {
            packages::ensure(packages::GUEST)?;
            bail!(
                "{} lacks the guest's image, which only root can build: run this as root, or set \
                 XDG_CACHE_HOME to where root has built it",
                cache.display()
            );
        }
        let _lock = lock(&cache)?;
        packages::ensure(packages::GUEST)?;
        remove_interrupted(&cache)?;
        image.build_missing(kernel)?;
        Ok(image)
    }

    fn is_built(&self) -> bool {
        self.linux.exists() && self.rootfs.exists()
    }

    fn build_missing(&self, kernel: Kernel) -> anyhow::Result<()> {
        thread::scope(|scope| {
            let linux =
                scope.spawn(|| build(&self.linux, |dir, work| linux::build(dir, work, kernel)));
            build(&self.rootfs, rootfs::build)?;
            linux.join().map_err(|_| anyhow!("the build of the kernel files panicked"))?
        })
    }
}

/// Waits until nobody else builds or installs, who may do what we want to.
fn lock(cache: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let file = File::create(cache.join("lock")).context("cannot lock the cache")?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        eprintln!("xtask: waiting for another build in {}", cache.display());
        flock(&file, FlockOperation::LockExclusive)?;
    }
    Ok(file)
}

/// Removes what killed builders left.
fn remove_interrupted(cache: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().as_bytes().starts_with(WORK.as_bytes()) {
            fs::remove_dir_all(entry.path()).context("cannot remove an interrupted build")?;
        }
    }
    Ok(())
}

/// Builds a directory of the cache, unless it is there; it appears when it is complete.
///
/// `fill` gets the directory and one for its work.
fn build(path: &Path, fill: impl FnOnce(&Path, &Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let started = Instant::now();
    eprintln!("xtask: building {}, once", path.display());
    let name = path.file_name().unwrap_or_default().display();
    // Named after this process: what a killed one had started may still write.
    let work = path.with_file_name(format!("{WORK}{}-{name}", process::id()));
    let done = work.join("done");
    fs::create_dir_all(&done)?;
    fill(&done, &work).with_context(|| format!("cannot build {}", path.display()))?;
    fs::rename(done, path)?;
    fs::remove_dir_all(work)?;
    eprintln!("xtask: built {} in {:.0?}", path.display(), started.elapsed());
    Ok(())
}

fn cache_directory() -> anyhow::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME says where to cache")?.join("coracle-guest"))
}

/// Tells builds of different recipes apart.
fn key(recipe: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
