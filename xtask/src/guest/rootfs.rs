//! Builds the guest's root file system.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::write_script;
use crate::{apt, host};

/// In the built directory: the file system, of which a guest writes to a copy.
pub const FILE: &str = "root.ext4";

/// What the built file depends on.
pub const RECIPE: &[&str] = &[include_str!("rootfs.rs"), CUSTOMIZE];

const CUSTOMIZE: &str = include_str!("../../guest/customize");

/// What is in the guest besides Debian's essential packages.
const PACKAGES: &[&str] = &[
    // Init, sessions, and what rootless containers need.
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "login",
    "passwd",
    "systemd",
    "systemd-sysv",
    "uidmap",
    // What tests of containers call.
    "aardvark-dns",
    "acl",
    "attr",
    "bpftool",
    "busybox-static",
    "ca-certificates",
    "criu",
    "e2fsprogs",
    "fuse-overlayfs",
    "fuse3",
    "iproute2",
    "iptables",
    "iputils-ping",
    "jq",
    "kmod",
    "libcap2-bin",
    "netavark",
    "nftables",
    "procps",
    "slirp4netns",
    "strace",
    // Other runtimes, an engine, and a maker of bundles.
    "crun",
    "podman",
    "runc",
    "umoci",
    // Security modules.
    "apparmor",
    "policycoreutils",
    "selinux-policy-default",
];

/// Left out of the packages: the guest has no reader.
const EXCLUDED: [&str; 3] = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

/// Builds into `dir`, with `work` for the rest.
pub fn build(dir: &Path, work: &Path) -> anyhow::Result<()> {
    let tree = work.join("tree");
    let apt_options = work.join("apt.conf");
    fs::write(&apt_options, apt::acquire_options()?)?;
    let customize = work.join("customize");
    write_script(&customize, CUSTOMIZE)?;

    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args(["--quiet", "--mode=root", "--variant=essential", "--format=directory"])
        .arg(format!("--include={}", PACKAGES.join(",")))
        .args(["--aptopt=Apt::Install-Recommends \"false\"", "--dpkgopt=force-unsafe-io"])
        .arg(format!("--aptopt={}", apt_options.display()))
        .args(EXCLUDED.map(|path| format!("--dpkgopt=path-exclude={path}")))
        .arg(format!("--customize-hook={}", customize.display()))
        .args([Path::new(apt::GUEST), &tree])
        .args(apt::guest()?);
    host::run(&mut mmdebstrap)?;

    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum"]);
    mke2fs.args(["-E", "lazy_itable_init=1", "-d"]).args([&tree, &dir.join(FILE)]);
    host::run(mke2fs.arg("8G")) // the file is sparse
}
