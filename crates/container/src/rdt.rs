//! The container's share of caches and memory bandwidth.

use std::path::PathBuf;

use coracle_rdt::{Group, Resctrl, Stats};
use serde::{Deserialize, Serialize};

use crate::{Container, Error, Result};

/// What the specification asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rdt {
    /// A class of service that others may be in, too. Without it the container has one of its own.
    pub(crate) class: Option<String>,
    /// Lines of its shares.
    pub(crate) schemata: Vec<String>,
    /// What the container uses is counted apart.
    pub(crate) monitoring: bool,
}

/// The class of service of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RdtRecord {
    /// Its directory.
    #[serde(rename = "intel_rdt_path")]
    path: PathBuf,
    #[serde(rename = "intel_rdt_root")]
    root: PathBuf,
    /// It is the container's alone.
    #[serde(rename = "intel_rdt_own")]
    own: bool,
    /// The directory of the monitoring group.
    #[serde(default, rename = "intel_rdt_monitoring", skip_serializing_if = "Option::is_none")]
    monitoring: Option<PathBuf>,
}

impl RdtRecord {
    /// Decides which one it will be. One of its own must not be there yet.
    pub(crate) fn choose(resctrl: &Resctrl, rdt: &Rdt, id: &str) -> Result<Self> {
        let group = resctrl.group(rdt.class.as_deref().unwrap_or(id));
        let own = rdt.class.is_none();
        let refused = |message: String| {
            Err(Error::Spec { pointer: "/linux/intelRdt/closID".into(), message })
        };
        let path = group.path().display();
        match (own, group.exists()) {
            (true, true) => {
                return refused(format!("{path} is there: remove it, or give its name"));
            }
            (false, false) if rdt.schemata.is_empty() => {
                return refused(format!("{path} does not exist: make it, or give schemata for it"));
            }
            _ => {}
        }
        Ok(Self {
            monitoring: rdt.monitoring.then(|| group.monitoring(id).path().to_owned()),
            path: group.path().to_owned(),
            root: resctrl.root().to_owned(),
            own,
        })
    }

    /// Makes it, with the shares that were asked for. Those of one that was there are not changed.
    pub(crate) fn make(&self, rdt: &Rdt) -> Result<()> {
        let group = self.group();
        if group.exists() && !self.own {
            group.expect(&rdt.schemata)?;
        } else {
            group.create()?;
            if !rdt.schemata.is_empty() {
                group.set(&rdt.schemata)?;
            }
        }
        Ok(self.monitoring_group().map_or(Ok(()), |group| group.create())?)
    }

    /// Puts a process into it that is to have children there.
    pub(crate) fn add(&self, pid: u32) -> Result<()> {
        self.group().add(pid)?;
        Ok(self.monitoring_group().map_or(Ok(()), |group| group.add(pid))?)
    }

    pub(crate) fn stats(&self) -> Result<Stats> {
        let group = self.group();
        Ok(group.stats(self.monitoring_group().as_ref().unwrap_or(&group))?)
    }

    /// Removes what is the container's alone.
    pub(crate) fn remove(&self) -> Result<()> {
        if let Some(group) = self.monitoring_group() {
            group.remove()?;
        }
        if self.own {
            self.group().remove()?;
        }
        Ok(())
    }

    fn group(&self) -> Group {
        Group::new(&self.root, &self.path)
    }

    fn monitoring_group(&self) -> Option<Group> {
        self.monitoring.as_ref().map(|path| Group::new(&self.root, path))
    }
}

/// The shares that a container had before they were changed.
pub(crate) struct Shares<'a> {
    container: &'a Container,
    /// In its class of service. Nothing stands for a container that had none.
    before: Option<(Group, Vec<String>)>,
    changed: bool,
}

impl<'a> Shares<'a> {
    /// Changes them to `schemata`, if these are any. A container that has no class of service gets one of its
    /// own, into which its processes go.
    pub(crate) fn change(
        container: &'a Container,
        schemata: &[String],
        pids: impl FnOnce() -> Result<Vec<u32>>,
    ) -> Result<Self> {
        let mut shares = Self { container, before: None, changed: !schemata.is_empty() };
        if !shares.changed {
            return Ok(shares);
        }
        let mut record = container.recorded()?.clone();
        if let Some(rdt) = &record.rdt {
            shares.before = Some((rdt.group(), rdt.stats()?.schemata));
            rdt.group().set(schemata)?;
            return Ok(shares);
        }
        let rdt = Rdt { schemata: schemata.to_vec(), ..Rdt::default() };
        let own = RdtRecord::choose(&Resctrl::discover()?, &rdt, container.id())?;
        record.rdt = Some(own.clone());
        container.entry.write(&record)?;
        let moved =
            own.make(&rdt).and_then(|()| pids()?.into_iter().try_for_each(|pid| own.add(pid)));
        match moved {
            Ok(()) => Ok(shares),
            Err(error) => Err(shares.restore().err().unwrap_or(error)),
        }
    }

    /// Takes the change back.
    pub(crate) fn restore(self) -> Result<()> {
        match self.before {
            _ if !self.changed => Ok(()),
            Some((group, schemata)) => Ok(group.set(&schemata)?),
            None => {
                let recorded = self.container.entry.read()?.and_then(|record| record.rdt);
                recorded.map_or(Ok(()), |own| own.remove())?;
                self.container.entry.write(self.container.recorded()?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn machine() -> (tempfile::TempDir, Resctrl) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("mon_groups")).unwrap();
        fs::write(dir.path().join("schemata"), "MB:0=100\n").unwrap();
        let resctrl = Resctrl::at(dir.path());
        (dir, resctrl)
    }

    fn asked(class: Option<&str>, line: Option<&str>) -> Rdt {
        Rdt {
            class: class.map(str::to_owned),
            schemata: line.map(str::to_owned).into_iter().collect(),
            monitoring: false,
        }
    }

    #[test]
    fn one_of_its_own_comes_and_goes() {
        let (dir, resctrl) = machine();
        let rdt = asked(None, Some("MB:0=20"));
        let record = RdtRecord::choose(&resctrl, &rdt, "it").unwrap();
        record.make(&rdt).unwrap();
        record.add(7).unwrap();
        let group = dir.path().join("it");
        assert_eq!(fs::read_to_string(group.join("schemata")).unwrap(), "MB:0=20\n");
        assert_eq!(fs::read_to_string(group.join("tasks")).unwrap(), "7");
        let taken = RdtRecord::choose(&resctrl, &rdt, "it").unwrap_err().to_string();
        assert!(taken.contains("is there"), "{taken}");
        for file in ["schemata", "tasks"] {
            fs::remove_file(group.join(file)).unwrap();
        }
        record.remove().unwrap();
        assert!(!group.exists());
    }

    #[test]
    fn a_shared_one_is_neither_changed_nor_removed() {
        let (dir, resctrl) = machine();
        let missing = RdtRecord::choose(&resctrl, &asked(Some("a"), None), "it").unwrap_err();
        assert!(missing.to_string().contains("does not exist"), "{missing}");
        let record = RdtRecord::choose(&resctrl, &asked(Some("/"), None), "it").unwrap();
        record.make(&asked(Some("/"), Some("MB:0=100"))).unwrap();
        let other = record.make(&asked(Some("/"), Some("MB:0=10"))).unwrap_err().to_string();
        assert!(other.contains("MB:0=100"), "{other}");
        record.remove().unwrap();
        assert!(dir.path().exists());
    }

    #[test]
    fn what_it_uses_is_counted_in_a_group_of_its_own() {
        let (dir, resctrl) = machine();
        let rdt = Rdt { monitoring: true, ..asked(Some("/"), None) };
        let record = RdtRecord::choose(&resctrl, &rdt, "it").unwrap();
        record.make(&rdt).unwrap();
        record.add(7).unwrap();
        let group = dir.path().join("mon_groups/it");
        assert_eq!(fs::read_to_string(group.join("tasks")).unwrap(), "7");
        fs::remove_file(group.join("tasks")).unwrap();
        record.remove().unwrap();
        assert!(!group.exists());
    }
}
