//! Network devices.

use std::os::fd::{AsFd, AsRawFd};

use coracle_sys::{Errno, SyscallError};
use serde::{Deserialize, Serialize};

use crate::message::{DUMP, Request, find, text, u32_at};
use crate::{Error, Netlink, Result};

const NEWLINK: u16 = 16;
const GETLINK: u16 = 18;

/// The size of `ifinfomsg`.
const INFO: usize = 16;
/// The flag `IFF_UP`.
const UP: u32 = 1;

const ADDRESS: u16 = 1;
const IFNAME: u16 = 3;
const LINK: u16 = 5;
const LINKINFO: u16 = 18;
const NET_NS_FD: u16 = 28;
const LINK_NETNSID: u16 = 37;
/// Within `LINKINFO`.
const INFO_KIND: u16 = 1;

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name there.
    pub name: String,
    /// It is up, as the administrator wants it, with or without a carrier.
    pub up: bool,
    /// What tells it from others.
    pub nature: Nature,
}

/// What a device is, whatever its name, and what it hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nature {
    /// Its hardware address; empty if it has none.
    pub address: Vec<u8>,
    /// The kind of a virtual device, as `veth`; empty for others.
    pub kind: String,
    /// The number of the device at its other end, or below it.
    pub other: Option<u32>,
    /// The namespace of that device, as the namespace it is seen from numbers it; none is the same one.
    pub namespace_of_other: Option<u32>,
}

impl Nature {
    /// Can it be the same device, seen from two namespaces?
    pub fn resembles(&self, other: &Self) -> bool {
        (&self.address, &self.kind) == (&other.address, &other.kind)
    }

    /// Does it lead to the same place, seen from one namespace?
    pub fn leads_where(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.other, it.namespace_of_other);
        self.kind == other.kind && place(self) == place(other)
    }
}

impl Link {
    /// Reads an answer: `ifinfomsg` and attributes.
    fn parse(body: &[u8]) -> Option<Self> {
        let attributes = body.get(INFO..)?;
        let number = |kind| find(attributes, kind).and_then(|value| u32_at(value, 0));
        let kind = find(attributes, LINKINFO).and_then(|info| find(info, INFO_KIND));
        Some(Self {
            index: u32_at(body, 4)?,
            name: find(attributes, IFNAME).map(text)?,
            up: u32_at(body, 8)? & UP != 0,
            nature: Nature {
                address: find(attributes, ADDRESS).unwrap_or_default().to_vec(),
                kind: kind.map(text).unwrap_or_default(),
                // What is its own other end has none.
                other: number(LINK).filter(|other| Some(*other) != u32_at(body, 4)),
                namespace_of_other: number(LINK_NETNSID),
            },
        })
    }
}

impl Netlink {
    /// All devices.
    pub fn links(&mut self) -> Result<Vec<Link>> {
        let failure = |source| Error::List { what: "network devices", source };
        let request = || Request::new(GETLINK, DUMP, &info(0, 0));
        let answers = self.ask(request, ("RTM_GETLINK", "all")).map_err(failure)?;
        Ok(answers.iter().filter_map(|body| Link::parse(body)).collect())
    }

    /// The device of this name, if there is one.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>> {
        self.find_link(0, &[(IFNAME, &terminated(name))], name)
    }

    /// The device with this number, if there is one.
    pub fn link_at(&mut self, index: u32) -> Result<Option<Link>> {
        self.find_link(index, &[], &index.to_string())
    }

    fn find_link(
        &mut self,
        index: u32,
        attributes: &[(u16, &[u8])],
        args: &str,
    ) -> Result<Option<Link>> {
        let request = || {
            let request = Request::new(GETLINK, 0, &info(index, 0));
            attributes
                .iter()
                .fold(request, |request, (kind, value)| request.attribute(*kind, value))
        };
        match self.ask(request, ("RTM_GETLINK", args)) {
            Ok(answers) => Ok(answers.first().and_then(|body| Link::parse(body))),
            Err(error) if error.errno() == Errno::NODEV => Ok(None),
            Err(source) => Err(Error::List { what: "network devices", source }),
        }
    }

    /// Moves a device into another network namespace, under a name, with one request. It is down then, and
    /// has lost its addresses and routes. `CAP_NET_ADMIN` in both.
    ///
    /// A name with `%d` stands for the first free one of that form. If the name is taken there, the error is
    /// `EEXIST`, and the device has moved all the same if the name that it had is free.
    pub fn move_link(&mut self, link: &Link, namespace: impl AsFd, name: &str) -> Result<()> {
        let namespace = namespace.as_fd().as_raw_fd();
        let request = || {
            Request::new(NEWLINK, 0, &info(link.index, 0))
                .attribute(NET_NS_FD, &namespace.to_ne_bytes())
                .attribute(IFNAME, &terminated(name))
        };
        let args = format!("{}, to another namespace as {name}", link.name);
        let moved = self.ask(request, ("RTM_NEWLINK", &args));
        moved.map(drop).map_err(|source| Error::Move { name: link.name.clone(), source })
    }

    /// Brings a device up. `CAP_NET_ADMIN`.
    pub fn set_up(&mut self, link: &Link) -> Result<()> {
        let request = || Request::new(NEWLINK, 0, &info(link.index, UP));
        let done = self.ask(request, ("RTM_NEWLINK", &format!("{}, IFF_UP", link.name)));
        done.map(drop).map_err(|source: SyscallError| Error::Up { name: link.name.clone(), source })
    }
}

/// An `ifinfomsg` that sets these flags.
fn info(index: u32, flags: u32) -> [u8; INFO] {
    let mut bytes = [0; INFO];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}
