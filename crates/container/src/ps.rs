//! The processes of a container.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Container, Error, Result};

impl Container {
    /// The numbers of all its processes in the caller's pid namespace, ascending. A container that is stopped
    /// has none, but for those that outlived its first process in a shared pid namespace.
    ///
    /// They are what is in its cgroup and in sub-cgroups. Where a user without delegated cgroups made it,
    /// they are what is in its pid namespace, and their descendants.
    pub fn pids(&self) -> Result<Vec<i32>> {
        if let Some(cgroup) = self.own_cgroup()? {
            // What the caller's pid namespace does not show is 0.
            let pids = cgroup.pids(true)?.into_iter().filter_map(|pid| pid.try_into().ok());
            return Ok(pids.filter(|pid| *pid > 0).collect());
        }
        let (status, Some(init)) = self.inspect()? else { return Ok(Vec::new()) };
        let record = self.record.as_ref().filter(|record| record.own_pid_namespace);
        let Some(first) = record.and_then(|record| record.init.as_ref()) else {
            let hint = "it has neither a cgroup nor a pid namespace of its own";
            return Err(self.refused("list the processes of", status, hint));
        };
        let pids = in_pid_namespace_of(first.init_process_pid)?;
        // If it has ended meanwhile its number may be another's.
        Ok(if init.is_alive()? { pids } else { Vec::new() })
    }
}

/// The processes in the pid namespace of `first`, and those in namespaces that they made.
fn in_pid_namespace_of(first: i32) -> Result<Vec<i32>> {
    let path = namespace_link(first);
    let namespace = fs::read_link(&path).map_err(|error| Error::file("read", &path, error))?;
    let parents = parents()?;
    let is_member = |pid: &i32| fs::read_link(namespace_link(*pid)).is_ok_and(|it| it == namespace);
    let members: BTreeSet<i32> = parents.keys().copied().filter(is_member).collect();
    let descends = |pid: &i32| {
        let mut ancestry = std::iter::successors(Some(*pid), |pid| parents.get(pid).copied());
        ancestry.any(|pid| members.contains(&pid))
    };
    Ok(parents.keys().copied().filter(descends).collect())
}

fn namespace_link(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/pid"))
}

/// Every process that is to be seen, and its parent.
fn parents() -> Result<BTreeMap<i32, i32>> {
    let proc = Path::new("/proc");
    let entries = fs::read_dir(proc).map_err(|error| Error::file("read", proc, error))?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(numbers.filter_map(|pid| Some((pid, parent(pid)?))).collect())
}

/// Field 4 of `/proc/PID/stat`; the second one, the name, may hold spaces and parentheses.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    text.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_its_own_namespace_with_its_children() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let this = i32::try_from(std::process::id()).unwrap();
        let id = i32::try_from(child.id()).unwrap();
        assert_eq!(parent(id), Some(this));
        let found = in_pid_namespace_of(this).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&this) && found.contains(&id), "{found:?}");
        assert!(found.is_sorted());
    }
}
