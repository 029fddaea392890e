//! The emulator's command line.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, Child, Command, Stdio};

use anyhow::Context;

use super::image::Image;
use super::options::{Cgroups, Init, Lsm, Options};
use super::{linux, rootfs};

/// Without what is slow to emulate: five levels of page tables, copies by the byte.
const CPU: &str = "max,la57=off,erms=off,fsrm=off";

/// A running emulator; dropping it ends it.
pub struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("xtask: cannot end the emulator: {error}");
        }
    }
}

/// Starts a guest; the stream is its output port.
pub fn start(
    options: &Options,
    image: &Image,
    initramfs: &File,
    console: &File,
) -> anyhow::Result<(Emulator, UnixStream)> {
    let (host, guest) = UnixStream::pair()?;
    // When this process is killed, so is the emulator.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig=KILL", "qemu-system-x86_64", "-nodefaults", "-no-user-config"])
        // KVM opens on many hosts that are guests themselves, and then the guest hangs.
        .args(["-accel", "tcg,thread=multi", "-cpu", CPU])
        .args(["-machine", "q35,hpet=off,smm=off,sata=off,usb=off", "-display", "none"])
        .args(["-no-reboot", "-smp", &options.cpus.to_string(), "-m", &options.memory.to_string()])
        .args(["-kernel", &escape(&image.linux.join(linux::VMLINUX).display().to_string())])
        .args(["-initrd", &descriptor(initramfs), "-append", &kernel_arguments(options)])
        .args(["-chardev", &format!("file,id=console,path={}", descriptor(console))])
        .args(["-serial", "chardev:console"])
        .args(["-chardev", "socket,id=output,fd=0", "-device", "virtio-serial-pci"])
        .args(["-device", "virtserialport,chardev=output"]);
    let disks = [image.rootfs.join(rootfs::FILE), image.linux.join(linux::MODULES)];
    for (number, disk) in disks.iter().enumerate() {
        let path = escape(&disk.display().to_string());
        qemu.args([
            "-drive",
            &format!("if=none,id=disk{number},format=raw,snapshot=on,file={path}"),
        ])
        .args(["-device", &format!("virtio-blk-pci,drive=disk{number}")]);
    }
    share(&mut qemu, options);
    let child = qemu.stdin(OwnedFd::from(guest)).stdout(Stdio::null()).spawn();
    Ok((Emulator(child.context("cannot run setpriv")?), host))
}

/// Adds the shares.
///
/// Not by virtiofs: its daemon writes to the guest's memory behind the emulator's back, which then
/// runs old translations of changed code.
fn share(qemu: &mut Command, options: &Options) {
    let model = if rustix::process::geteuid().is_root() { "passthrough" } else { "none" };
    for (number, share) in options.shares.iter().enumerate() {
        let path = escape(&share.path.display().to_string());
        let access = if share.read_only { ",readonly=on" } else { "" };
        let device = format!("local,id=share{number},path={path},multidevs=remap{access}");
        qemu.args(["-fsdev", &format!("{device},security_model={model}")]).args([
            "-device",
            &format!("virtio-9p-pci,fsdev=share{number},mount_tag=share{number}"),
        ]);
    }
}

fn kernel_arguments(options: &Options) -> String {
    let init = match options.init {
        Init::None => "none",
        Init::Systemd => "systemd systemd.unit=guest.service",
    };
    let cgroups = match options.cgroups {
        Cgroups::Unified => "",
        Cgroups::Hybrid => " systemd.unified_cgroup_hierarchy=0",
    };
    let user = match (options.init, options.user) {
        (Init::Systemd, true) => " systemd.wants=user@1000.service",
        _ => "",
    };
    let lsm = match options.lsm {
        Lsm::None => "",
        Lsm::AppArmor => "apparmor,",
        Lsm::SeLinux => "selinux,",
    };
    format!(
        "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable cryptomgr.notests=1 \
         init_on_alloc=0 lsm=landlock,yama,{lsm}bpf enforcing=0 guest_init={init}{cgroups}{user}{}",
        options.append
    )
}

/// The path by which QEMU opens a file that this process has open, and that may have no name.
fn descriptor(file: &File) -> String {
    format!("/proc/{}/fd/{}", process::id(), file.as_raw_fd())
}

/// QEMU's options are separated by commas.
fn escape(text: &str) -> String {
    text.replace(',', ",,")
}
