//! Devices to limit.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use coracle_testkit::{Cmd, Result};

/// A disk, and perhaps one of a scheduler that knows weights.
pub struct Disks {
    disk: String,
    pub bfq: Option<String>,
    /// A file to be written when all is done, and what was in it.
    scheduler: Option<(PathBuf, String)>,
}

impl Disks {
    /// Gives an unused loop device the scheduler BFQ, if the kernel has it.
    pub fn prepare() -> Result<Self> {
        let mut disks = Self::without_weights()?;
        // As root only, and only where it is a module.
        Cmd::new("modprobe").args(["-q", "bfq"]).run().map(drop).unwrap_or_default();
        for path in block_devices()?.filter(|path| is_unused_loop(path)) {
            let file = path.join("queue/scheduler");
            let schedulers = fs::read_to_string(&file)?;
            let current = schedulers.split(['[', ']']).nth(1).unwrap_or("none").to_owned();
            if schedulers.contains("bfq") && fs::write(&file, "bfq").is_ok() {
                disks.bfq = Some(number(&path)?);
                disks.scheduler = Some((file, current));
                break;
            }
        }
        Ok(disks)
    }

    /// Leaves the devices as they are.
    pub fn without_weights() -> Result<Self> {
        let has_space = |path: &PathBuf| {
            let size = fs::read_to_string(path.join("size")).unwrap_or_default();
            !is_loop(path) && size.trim() != "0"
        };
        let disk = block_devices()?.find(has_space).context("this host has no disk")?;
        Ok(Self { disk: number(&disk)?, bfq: None, scheduler: None })
    }

    /// The name of an RDMA adapter.
    pub fn adapter() -> Option<String> {
        let mut entries = fs::read_dir("/sys/class/infiniband").ok()?;
        Some(entries.next()?.ok()?.file_name().to_string_lossy().into_owned())
    }

    /// Puts the devices in the place of their names.
    pub fn fill(&self, text: &str) -> String {
        let members = |number: &str| {
            let (major, minor) = number.split_once(':').unwrap_or_default();
            format!(r#"{{"major": {major}, "minor": {minor}"#)
        };
        let bfq = self.bfq.as_deref().unwrap_or_default();
        text.replace("{@DISK", &members(&self.disk))
            .replace("@DISK", &self.disk)
            .replace("{@BFQ", &members(bfq))
            .replace("@BFQ", bfq)
            .replace("@RDMA", Self::adapter().as_deref().unwrap_or("absent0"))
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        if let Some((file, before)) = &self.scheduler {
            fs::write(file, before).unwrap_or_default();
        }
    }
}

fn block_devices() -> Result<impl Iterator<Item = PathBuf>> {
    let mut paths: Vec<_> =
        fs::read_dir("/sys/block")?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    // The last are the least used.
    paths.sort_by(|one, other| other.cmp(one));
    Ok(paths.into_iter())
}

fn number(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path.join("dev"))?.trim().to_owned())
}

fn is_loop(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("loop"))
}

/// One that has a file has a directory `loop`.
fn is_unused_loop(path: &Path) -> bool {
    is_loop(path) && !path.join("loop").exists()
}
