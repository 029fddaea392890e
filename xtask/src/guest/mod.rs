//! `cargo xtask guest`: a command in an emulated machine, with what this one may lack.

mod cpio;
mod image;
mod linux;
mod options;
mod output;
mod qemu;
mod rootfs;
mod script;

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::Command;
use image::Image;
use options::{Options, Request};
use output::End;

pub const COMMAND: Command = Command {
    name: "guest",
    about: "Runs a command in an emulated machine with Debian 12, by default with cgroup v2 only.",
    help: "
usage: cargo xtask guest [OPTIONS] -- COMMAND [ARGUMENTS]
       cargo xtask guest [--kernel VERSION] --build-only

COMMAND runs as root. The workspace is at the same path in the guest, writable; all else that is
written there is dropped. There is no network. The command's output, stdout and stderr together, is
streamed. The exit status is the command's, 124 after the time-out, 125 when the guest died.

What the guest boots from is built on first use, in coracle-guest of $XDG_CACHE_HOME or ~/.cache;
that needs root, Debian and a few minutes. KVM is not used.

  --init none|systemd          what process 1 is (default: none)
  --cgroups unified|hybrid     v2, or v1 beside it (with systemd; --kernel 6.1 has all of v1)
  --lsm none|apparmor|selinux  the security module (default: none; SELinux is permissive)
  --kernel 6.12|6.1|5.10       the Linux version (default: 6.12)
  --user                       run as the user tester, in a delegated cgroup
  --share DIR[:ro]             share a directory, at the same path; repeatable
  --env NAME[=VALUE]           set for the command; repeatable
  --timeout SECONDS            (default: 900)
  --cpus NUMBER                (default: as many as here)
  --memory MIB                 (default: 2048)
  --append ARGUMENTS           more for the kernel's command line
  --console FILE               keep what the kernel prints
  --build-only                 only fill the cache
",
    run: main,
};

fn main(args: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let request = Request::parse(args)?;
    if request.build_only {
        Image::get(request.options.kernel)?;
        return Ok(ExitCode::SUCCESS);
    }
    run(&request.options, &request.command).map(ExitCode::from)
}

/// Runs a command in a new guest, its output to stdout, and returns its status: 124 after the
/// time-out, 125 when the guest died.
pub fn run(options: &Options, command: &[OsString]) -> anyhow::Result<u8> {
    if cfg!(not(target_arch = "x86_64")) {
        bail!("the guest is an x86_64 machine, and is built from this one's packages");
    }
    let image = Image::get(options.kernel)?;
    let marker = output::marker();
    let mut initramfs = memory_file()?;
    io::copy(&mut File::open(image.linux.join(linux::INITRAMFS))?, &mut initramfs)?;
    initramfs.write_all(&script::archive(options, command, &marker)?)?;
    let mut console = match &options.console {
        Some(path) => {
            let mut file = File::options();
            file.read(true).write(true).create(true).truncate(true).open(path)?
        }
        None => memory_file()?,
    };
    let (emulator, stream) = qemu::start(options, &image, &initramfs, &console)?;
    let end = output::relay(stream, &marker, options.timeout, &mut io::stdout().lock())?;
    drop(emulator);
    let (status, what) = match end {
        End::Status(status) => return Ok(status),
        End::TimedOut => (124, "the time is over"),
        End::Died => (125, "the guest died"),
    };
    eprintln!("{}xtask: {what}", last_of(&mut console)?);
    Ok(status)
}

/// A file that needs no clean-up.
fn memory_file() -> anyhow::Result<File> {
    Ok(memfd_create("coracle-guest", MemfdFlags::CLOEXEC)?.into())
}

/// The last lines that the kernel printed.
fn last_of(console: &mut File) -> anyhow::Result<String> {
    const LENGTH: usize = 4000;
    let mut bytes = Vec::new();
    console.rewind()?;
    console.read_to_end(&mut bytes)?;
    let start = bytes.len().saturating_sub(LENGTH);
    Ok(String::from_utf8_lossy(&bytes[start..]).into_owned())
}

/// Writes a script that its reader can execute.
fn write_script(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}
