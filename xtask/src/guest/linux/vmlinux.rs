//! Takes the kernel out of the compressed image that boot loaders start.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// Writes the kernel within `image` to `target`, with `work` for the rest.
///
/// The offsets are those of the kernel's Documentation/arch/x86/boot.rst.
pub fn extract(image: &Path, target: &Path, work: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let payload = payload(&bytes).context("the kernel is not an x86 boot image")?;
    let program = match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        _ => bail!("the kernel is compressed in an unknown way"),
    };
    let file = work.join("vmlinux.compressed");
    fs::write(&file, payload)?;
    let status = Command::new(program)
        .args(["--decompress", "--stdout"])
        .stdin(File::open(&file)?)
        .stdout(File::create(target)?)
        .stderr(Stdio::inherit())
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} failed with {status}");
    Ok(())
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let setup_sectors = usize::from(*image.get(0x1f1)?);
    let start = (setup_sectors + 1) * 512 + number(0x248)?;
    // After the compressed data is the size of what comes out.
    image.get(start..start + number(0x24c)?.checked_sub(4)?)
}
