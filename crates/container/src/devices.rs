//! Network devices of the host, lent to a container.
//!
//! The specification leaves them to the kernel when their namespace ends, which destroys virtual ones and
//! forgets the names and addresses of others. Here they come back when the container is deleted, as they were:
//! what is lent is recorded with all that moving takes from it, and its namespace is mounted in the
//! container's directory before the first device moves, so that [`take_back`] finds it whatever died, and when.
//!
//! Both journeys are the host's: it only ever talks to the two namespaces, by a socket in each.

use coracle_net::{Address, Link, Nature, Netlink};
use coracle_ns::{NamespaceKind, NsFd, unpin};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::lower::WantedDevice;
use crate::store::Entry;
use crate::{Error, Result};

/// A device as it is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LentDevice {
    name: String,
    /// Its name in the container, perhaps with `%d`.
    inside: String,
    /// Its number in the container's network namespace, once it is there.
    index: Option<u32>,
    up: bool,
    addresses: Vec<Address>,
    nature: Nature,
}

impl LentDevice {
    /// Is it this one in the container's namespace, at least before anybody has run there?
    fn may_be(&self, link: &Link) -> bool {
        let named = link.name == self.name || link.name == self.inside;
        self.nature.resembles(&link.nature) && (named || self.inside.contains('%'))
    }
}

/// Looks for the devices on the host.
pub(crate) fn find(wanted: &[WantedDevice]) -> Result<Vec<LentDevice>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut host = Netlink::open()?;
    let lent = wanted.iter().map(|device| {
        let link = host.link(&device.name)?.ok_or_else(|| missing(device))?;
        Ok(LentDevice {
            name: link.name.clone(),
            inside: device.inside.clone(),
            index: None,
            up: link.up,
            addresses: host.addresses(&link)?,
            nature: link.nature,
        })
    });
    lent.collect()
}

fn missing(device: &WantedDevice) -> Error {
    let message = "the host has no such network device, or another container has it: `ip link` \
                   lists those that are there";
    Error::Spec { pointer: device.pointer(), message: message.into() }
}

fn taken(device: &WantedDevice) -> Error {
    let message = format!(
        "the container's network namespace has a device {} already: give another name",
        device.inside
    );
    Error::Spec { pointer: device.pointer(), message }
}

/// Moves the devices that are recorded, and wanted, into the container's network namespace.
pub(crate) fn lend(entry: &Entry, wanted: &[WantedDevice], namespace: &NsFd) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut devices = entry.read_devices()?;
    namespace.pin(entry.network())?;
    let (mut host, mut inside) = (Netlink::open()?, Netlink::open_in(namespace)?);
    for (position, device) in wanted.iter().enumerate() {
        let link = host.link(&device.name)?.ok_or_else(|| missing(device))?;
        let before = inside.links()?;
        if before.iter().any(|other| other.name == device.inside) {
            return Err(taken(device));
        }
        host.move_link(&link, namespace, &device.inside).map_err(|error| match error.errno() {
            Errno::NODEV => missing(device),
            Errno::EXIST => taken(device),
            _ => error.into(),
        })?;
        let is_new = |link: &Link| before.iter().all(|other| other.index != link.index);
        let after = inside.links()?.into_iter();
        let Some(lent) = devices.get_mut(position) else { return Err(missing(device)) };
        let mut arrived = after.filter(|link| is_new(link) && link.nature.resembles(&lent.nature));
        let link = arrived.next().ok_or_else(|| missing(device))?;
        lent.index = Some(link.index);
        entry.write_devices(&devices)?;
        for address in &devices[position].addresses {
            inside.add_address(&link, address)?;
        }
        inside.set_up(&link)?;
    }
    Ok(())
}

/// Moves the devices that were lent into the caller's network namespace, where they get back their names and
/// addresses. Returns what the user should know. It can be done again, should it end before its end.
pub(crate) fn take_back(entry: &Entry) -> Result<Vec<String>> {
    let devices = entry.read_devices()?;
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    // Where no namespace is mounted, nothing was lent, or all is back.
    let Ok(namespace) = NsFd::open(entry.network(), NamespaceKind::Net) else {
        return Ok(Vec::new());
    };
    let home = NsFd::open("/proc/thread-self/ns/net", NamespaceKind::Net)?;
    let (host, inside) = (Netlink::open()?, Netlink::open_in(&namespace)?);
    let mut journey = Return { host, inside, home };
    let mut warnings = Vec::new();
    for device in &devices {
        let troubles = journey.take_back(device)?.into_iter();
        warnings.extend(troubles.map(|it| format!("network device {} {it}", device.name)));
    }
    unpin(entry.network())?;
    Ok(warnings)
}

/// The way back from a container's network namespace.
struct Return {
    host: Netlink,
    inside: Netlink,
    home: NsFd,
}

impl Return {
    /// Takes one device back. Returns what is not as it was, as the end of a sentence.
    fn take_back(&mut self, device: &LentDevice) -> Result<Vec<String>> {
        let Some(link) = self.find_inside(device)? else {
            // It never left, or was taken back before.
            let there = self.host.link(&device.name)?;
            return Ok(match there.filter(|link| link.nature.resembles(&device.nature)) {
                Some(link) => self.restore(device, &link),
                None => vec!["is lost: it is not in the container's network namespace".into()],
            });
        };
        let name = self.free_name(device)?;
        self.inside.move_link(&link, &self.home, &name)?;
        let arrived = self.host.link(&name)?;
        Ok(match arrived {
            None => vec![format!("was renamed on its way back as {name}: configure it again")],
            Some(_) if name != device.name => vec![format!(
                "is back as {name}, down and without addresses: there is another one of its name"
            )],
            Some(link) if !link.nature.leads_where(&device.nature) => vec![
                "is back, down and without addresses: in the container it was connected with \
                 something else"
                    .into(),
            ],
            Some(link) => self.restore(device, &link),
        })
    }

    /// In the container, who has the right to may have renamed it, and put another in its place.
    fn find_inside(&mut self, device: &LentDevice) -> Result<Option<Link>> {
        let found = match device.index {
            Some(index) => self.inside.link_at(index)?,
            None => self.inside.links()?.into_iter().find(|link| device.may_be(link)),
        };
        Ok(found.filter(|link| link.nature.kind == device.nature.kind))
    }

    /// Its own name, or one as the kernel gives to a device that comes home and finds its name taken.
    fn free_name(&mut self, device: &LentDevice) -> Result<String> {
        let links = self.host.links()?;
        let is_free = |name: &String| links.iter().all(|link| link.name != *name);
        let own = std::iter::once(device.name.clone());
        let mut names = own.chain((0..).map(|number: u32| format!("dev{number}")));
        Ok(names.find(is_free).unwrap_or_default())
    }

    /// Gives it what the move took from it.
    fn restore(&mut self, device: &LentDevice, link: &Link) -> Vec<String> {
        let mut troubles = Vec::new();
        let mut check = |done: coracle_net::Result<()>| {
            if let Err(error) = done {
                troubles.push(format!("is back, but: {}", Error::from(error).chain()));
            }
        };
        for address in &device.addresses {
            check(self.host.add_address(link, address));
        }
        if device.up {
            check(self.host.set_up(link));
        }
        troubles
    }
}
