//! The loopback interface of a new network namespace, see netdevice(7), and an option of netlink(7).

use std::os::fd::{AsFd, AsRawFd};

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

/// Has the kernel explain its errors on a socket of netlink(7), in words (`NETLINK_EXT_ACK`).
pub fn explain_errors(socket: impl AsFd) -> Result<()> {
    let (socket, yes) = (socket.as_fd().as_raw_fd(), 1_i32);
    let size = libc::socklen_t::try_from(size_of_val(&yes)).unwrap_or_default();
    // SAFETY: the option is an int, and `yes` lives until the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_NETLINK,
            libc::NETLINK_EXT_ACK,
            (&raw const yes).cast(),
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(SyscallError::last("setsockopt", "NETLINK_EXT_ACK")) }
}
