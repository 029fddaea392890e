//! Builds what depends on the guest's kernel: the kernel itself, its modules and the initramfs.

mod package;
mod vmlinux;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::cpio::Archive;
use super::options::Kernel;
use crate::host;

/// In the built directory: the uncompressed kernel, which starts without unpacking itself.
pub const VMLINUX: &str = "vmlinux";
/// In the built directory: the initramfs but for the files of a single run.
pub const INITRAMFS: &str = "initramfs.cpio";
/// In the built directory: the file system for /usr/lib/modules.
pub const MODULES: &str = "modules.ext4";

const BUSYBOX: &str = "/bin/busybox";

/// What it takes to mount the root file system and the shares, where it is not built in.
const BOOT_MODULES: [&str; 6] =
    ["virtio_pci", "virtio_blk", "virtio_console", "ext4", "9p", "9pnet_virtio"];

/// The directories of drivers for what an emulated machine has.
const DRIVERS: [&str; 6] = ["block", "char", "md", "net", "vhost", "virtio"];
/// The directories of drivers/net for what it has not.
const NO_NET_DRIVERS: [&str; 8] =
    ["can", "dsa", "ethernet", "hamradio", "phy", "usb", "wan", "wireless"];

/// What the built files depend on.
pub fn recipe(kernel: Kernel) -> [&'static str; 4] {
    let [steps, package, vmlinux] =
        [include_str!("mod.rs"), include_str!("package.rs"), include_str!("vmlinux.rs")];
    [steps, package, vmlinux, kernel.version()]
}

/// Builds into `dir`, with `work` for the rest.
pub fn build(dir: &Path, work: &Path, kernel: Kernel) -> anyhow::Result<()> {
    let package = package::download(work, kernel)?;
    let tree = work.join("tree");
    // Only unpacked: installing it would pull in the tools that make an initramfs.
    host::run(Command::new("dpkg-deb").arg("--extract").args([&package, &tree]))?;
    let modules = tree.join("lib/modules");
    let releases = names_in(&modules)?;
    let [release] = releases.as_slice() else {
        bail!("the package has not one kernel, but {releases:?}");
    };
    let image = tree.join(format!("boot/vmlinuz-{release}"));
    vmlinux::extract(&image, &dir.join(VMLINUX), work)?;

    remove_drivers(&modules.join(release).join("kernel"))?;
    let find = ["-name", "*.ko.xz", "-exec", "xz", "--decompress", "{}", "+"];
    host::run(Command::new("find").arg(&modules).args(find))?;
    host::run(Command::new("depmod").arg("--basedir").arg(&tree).arg(release))?;
    fs::write(dir.join(INITRAMFS), initramfs(&tree, release)?)?;
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"]);
    host::run(mke2fs.args([&modules, &dir.join(MODULES)]).arg("1G")) // the file is sparse
}

fn names_in(dir: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Removes drivers that would only make the file system large.
fn remove_drivers(modules: &Path) -> anyhow::Result<()> {
    let drivers = modules.join("drivers");
    let mut removed: Vec<PathBuf> = vec![modules.join("sound")];
    let names = names_in(&drivers)?.into_iter().filter(|name| !DRIVERS.contains(&name.as_str()));
    removed.extend(names.map(|name| drivers.join(name)));
    removed.extend(NO_NET_DRIVERS.map(|name| drivers.join("net").join(name)));
    for path in removed.iter().filter(|path| path.exists()) {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn initramfs(tree: &Path, release: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for name in ["bin", "modules", "proc", "sys", "dev", "root"] {
        archive.directory(name);
    }
    archive.file("bin/busybox", 0o755, &fs::read(BUSYBOX)?);
    for (number, path) in boot_modules(tree, release)?.iter().enumerate() {
        archive.file(&format!("modules/{number:02}.ko"), 0o644, &fs::read(path)?);
    }
    Ok(archive.finish())
}

/// The files of the boot modules and of what they need, in the order of loading.
fn boot_modules(tree: &Path, release: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for module in BOOT_MODULES {
        let mut modprobe = Command::new("modprobe");
        modprobe.arg("--dirname").arg(tree).args(["--set-version", release, "--show-depends"]);
        // Lines are `insmod FILE`, or `builtin NAME`.
        for line in host::stdout(modprobe.arg(module))?.lines() {
            let file = line.trim().strip_prefix("insmod ").map(PathBuf::from);
            files.extend(file.filter(|file| !files.contains(file)));
        }
    }
    Ok(files)
}
