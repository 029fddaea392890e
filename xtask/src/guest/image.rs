//! The cache of what a guest boots from.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow};
use rustix::fs::{FlockOperation, flock};

use super::options::Kernel;
use super::{linux, rootfs};
use crate::packages;

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
        fs::create_dir_all(&cache).with_context(|| format!("cannot create {cache:?}"))?;
        // One builder, or installer of packages, at a time; the others then find its work.
        let lock = File::create(cache.join("lock")).context("cannot lock the cache")?;
        flock(&lock, FlockOperation::LockExclusive)?;
        packages::ensure(packages::GUEST)?;
        image.build_missing(kernel)?;
        Ok(image)
    }

    fn build_missing(&self, kernel: Kernel) -> anyhow::Result<()> {
        thread::scope(|scope| {
            let linux = scope.spawn(|| build(&self.linux, |dir| linux::build(dir, kernel)));
            build(&self.rootfs, rootfs::build)?;
            linux.join().map_err(|_| anyhow!("the build of the kernel files panicked"))?
        })
    }
}

/// Builds a directory of the cache, unless it is there; it appears when it is complete.
fn build(path: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let started = Instant::now();
    eprintln!("xtask: building {}, once", path.display());
    let partial = path.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).context("cannot remove an interrupted build")?;
    }
    fs::create_dir(&partial)?;
    fill(&partial).with_context(|| format!("cannot build {}", path.display()))?;
    fs::rename(&partial, path)?;
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
