//! Sandboxes that a process puts itself in; see landlock(7).

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use linux_raw_sys::general as raw;
use linux_raw_sys::landlock::{
    LANDLOCK_CREATE_RULESET_VERSION, landlock_net_port_attr, landlock_path_beneath_attr,
    landlock_ruleset_attr,
};

use crate::{Errno, Result, SyscallError};

const RULE_PATH_BENEATH: libc::c_int = 1;
const RULE_NET_PORT: libc::c_int = 2;

/// The version of Landlock that the kernel has: 0 where it has none, or was started without it.
pub fn version() -> Result<u32> {
    let nothing: *const landlock_ruleset_attr = std::ptr::null();
    // SAFETY: with this flag nothing is read.
    let version = unsafe {
        libc::syscall(
            libc::c_long::from(raw::__NR_landlock_create_ruleset.cast_signed()),
            nothing,
            0,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    if let Ok(version) = u32::try_from(version) {
        return Ok(version);
    }
    match SyscallError::last("landlock_create_ruleset", "VERSION") {
        error if matches!(error.errno(), Errno::NOSYS | Errno::OPNOTSUPP) => Ok(0),
        error => Err(error),
    }
}

/// A set of rules: what they are about is forbidden but for what they allow.
#[derive(Debug)]
pub struct Ruleset(OwnedFd);

impl Ruleset {
    /// A set about these accesses (`LANDLOCK_ACCESS_FS_*`, `LANDLOCK_ACCESS_NET_*`, `LANDLOCK_SCOPE_*`), which must be
    /// known to the [`version`] of the kernel.
    pub fn new(fs: u64, net: u64, scoped: u64) -> Result<Self> {
        let attr = landlock_ruleset_attr { handled_access_fs: fs, handled_access_net: net, scoped };
        // SAFETY: the structure is as the kernel knows it; what follows its end in older ones is zero, or refused.
        let fd = unsafe {
            libc::syscall(
                libc::c_long::from(raw::__NR_landlock_create_ruleset.cast_signed()),
                &raw const attr,
                size_of_val(&attr),
                0,
            )
        };
        let args = || format!("fs {fs:#x}, net {net:#x}, scoped {scoped:#x}");
        match i32::try_from(fd) {
            // SAFETY: the kernel has just made this descriptor for us; it is close-on-exec.
            Ok(fd @ 0..) => Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) })),
            _ => Err(SyscallError::last("landlock_create_ruleset", args())),
        }
    }

    /// Allows `access` to what is at and below `path`, which may be open with `O_PATH`.
    pub fn allow_below(&self, path: impl AsFd, access: u64) -> Result<()> {
        let parent_fd = path.as_fd().as_raw_fd();
        let attr = landlock_path_beneath_attr { allowed_access: access, parent_fd };
        self.add(RULE_PATH_BENEATH, (&raw const attr).cast(), || format!("fs {access:#x}"))
    }

    /// Allows `access` to the TCP port `port`.
    pub fn allow_port(&self, port: u16, access: u64) -> Result<()> {
        let attr = landlock_net_port_attr { allowed_access: access, port: port.into() };
        self.add(RULE_NET_PORT, (&raw const attr).cast(), || format!("port {port}, {access:#x}"))
    }

    fn add(
        &self,
        kind: libc::c_int,
        attr: *const libc::c_void,
        args: impl Fn() -> String,
    ) -> Result<()> {
        // SAFETY: `attr` points to the structure that the kernel reads for this kind.
        let result = unsafe {
            libc::syscall(
                libc::c_long::from(raw::__NR_landlock_add_rule.cast_signed()),
                self.0.as_raw_fd(),
                kind,
                attr,
                0,
            )
        };
        if result == 0 { Ok(()) } else { Err(SyscallError::last("landlock_add_rule", args())) }
    }

    /// Puts the calling thread, and what it executes, under these rules for ever. It must have no_new_privs, or
    /// `CAP_SYS_ADMIN` in its user namespace.
    pub fn restrict_self(&self) -> Result<()> {
        // SAFETY: only numbers are passed.
        let result = unsafe {
            libc::syscall(
                libc::c_long::from(raw::__NR_landlock_restrict_self.cast_signed()),
                self.0.as_raw_fd(),
                0,
            )
        };
        if result == 0 { Ok(()) } else { Err(SyscallError::last("landlock_restrict_self", "")) }
    }
}
