//! The addresses of network devices.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use coracle_sys::Errno;
use serde::{Deserialize, Serialize};

use crate::message::{CREATE, DUMP, EXCL, Request, find, u32_at};
use crate::{Error, Link, Netlink, Result};

const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;

/// The size of `ifaddrmsg`.
const INFO: usize = 8;
const INET: u8 = 2;
const INET6: u8 = 10;
/// The scope of addresses that are valid everywhere, `RT_SCOPE_UNIVERSE`.
const UNIVERSE: u8 = 0;

const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const BROADCAST: u16 = 4;
const FLAGS: u16 = 8;
const PRIORITY: u16 = 9;

/// The address stays until it is taken away, `IFA_F_PERMANENT`.
const PERMANENT: u32 = 0x80;
/// The flags that somebody chose; the others say what the kernel has found out. `IFA_F_NODAD`, `HOMEADDRESS`,
/// `MANAGETEMPADDR`, `NOPREFIXROUTE` and `MCAUTOJOIN`.
const CHOSEN: u32 = 0x02 | 0x10 | 0x100 | 0x200 | 0x400;

/// An address of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address itself.
    pub local: IpAddr,
    /// The length of the network's prefix in bits.
    pub prefix: u8,
    /// The address of the other end, where it is a network of two.
    pub peer: Option<IpAddr>,
    /// Where to reach all in the network.
    pub broadcast: Option<IpAddr>,
    /// Flags of ip-address(8) that were chosen for it, as `nodad` and `noprefixroute`: `IFA_F_*`.
    pub flags: u32,
    /// The metric of the route to its network.
    pub priority: Option<u32>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.local, self.prefix)
    }
}

impl Address {
    /// Reads an answer, if it is of the device `index`, permanent and valid everywhere.
    fn parse(body: &[u8], index: u32) -> Option<Self> {
        let attributes = body.get(INFO..)?;
        let number = |kind| find(attributes, kind).and_then(|value| u32_at(value, 0));
        let ip = |kind| find(attributes, kind).and_then(parse_ip);
        let flags = number(FLAGS).unwrap_or(body[2].into());
        if u32_at(body, 4)? != index || flags & PERMANENT == 0 || body[3] != UNIVERSE {
            return None;
        }
        // Only with another end do the two differ.
        let address = ip(ADDRESS)?;
        let local = ip(LOCAL).unwrap_or(address);
        Some(Self {
            local,
            prefix: body[1],
            peer: (address != local).then_some(address),
            broadcast: ip(BROADCAST),
            flags: flags & CHOSEN,
            priority: number(PRIORITY).filter(|priority| *priority != 0),
        })
    }

    fn request(&self, index: u32) -> Request {
        let family = if self.local.is_ipv4() { INET } else { INET6 };
        let mut info = [family, self.prefix, 0, UNIVERSE, 0, 0, 0, 0];
        info[4..].copy_from_slice(&index.to_ne_bytes());
        let request = Request::new(NEWADDR, CREATE | EXCL, &info)
            .attribute(LOCAL, &bytes(self.local))
            .attribute(ADDRESS, &bytes(self.peer.unwrap_or(self.local)))
            .attribute(FLAGS, &self.flags.to_ne_bytes());
        let request = match self.broadcast {
            Some(broadcast) => request.attribute(BROADCAST, &bytes(broadcast)),
            None => request,
        };
        match self.priority {
            Some(priority) => request.attribute(PRIORITY, &priority.to_ne_bytes()),
            None => request,
        }
    }
}

impl Netlink {
    /// The addresses of a device that are permanent and valid everywhere (`IFA_F_PERMANENT`,
    /// `RT_SCOPE_UNIVERSE`), of either family.
    pub fn addresses(&mut self, link: &Link) -> Result<Vec<Address>> {
        let failure = |source| Error::List { what: "addresses", source };
        let request = || Request::new(GETADDR, DUMP, &[0; INFO]);
        let answers = self.ask(request, ("RTM_GETADDR", &link.name)).map_err(failure)?;
        Ok(answers.iter().filter_map(|body| Address::parse(body, link.index)).collect())
    }

    /// Gives a device an address; one that it has already is no error. `CAP_NET_ADMIN`.
    pub fn add_address(&mut self, link: &Link, address: &Address) -> Result<()> {
        let args = format!("{}, {address}", link.name);
        match self.ask(|| address.request(link.index), ("RTM_NEWADDR", &args)) {
            Err(source) if source.errno() != Errno::EXIST => Err(Error::Address {
                name: link.name.clone(),
                address: address.to_string(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

fn parse_ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    v4().or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into())).ok()
}

fn bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
