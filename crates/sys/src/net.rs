//! The loopback interface of a new network namespace; see netdevice(7).

use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::{Result, SyscallError};

const SIOCSIFFLAGS: libc::Ioctl = 0x8914;
/// `IFF_UP | IFF_RUNNING`, in the width of the field.
const UP: libc::c_short = 0x41;

/// Brings `lo` up in the caller's network namespace. `CAP_NET_ADMIN` in it.
pub fn loopback_up() -> Result<()> {
    let kind = (AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC);
    let socket = socket_with(kind.0, kind.1, kind.2, None)
        .map_err(|errno| SyscallError::new("socket", "AF_INET, SOCK_DGRAM", errno))?;
    let mut name = [0; libc::IFNAMSIZ];
    name[..2].copy_from_slice(&[b'l' as libc::c_char, b'o' as libc::c_char]);
    let request =
        libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: UP } };
    // SAFETY: SIOCSIFFLAGS reads an ifreq with a terminated name and the flags set.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("ioctl", "SIOCSIFFLAGS, lo, UP")) }
}
