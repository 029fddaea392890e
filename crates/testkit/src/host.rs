//! What this machine has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::runtime::find_program;
use crate::{Result, host_mounts};

/// Which versions of cgroups are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupLayout {
    /// Version 1 only, with controllers.
    Legacy,
    /// Both.
    Hybrid,
    /// Version 2 only.
    Unified,
}

/// What this machine has, and who we are on it.
#[derive(Debug, Clone)]
pub struct Host {
    /// Our effective user.
    pub euid: u32,
    /// Our effective group.
    pub egid: u32,
    /// How cgroups are mounted.
    pub layout: CgroupLayout,
    /// The version of Linux.
    pub kernel: (u32, u32),
    /// AppArmor is active.
    pub apparmor: bool,
    /// SELinux is active.
    pub selinux: bool,
    /// Our effective capabilities, by number.
    capabilities: u64,
    /// Where each hierarchy is mounted: by controller on v1, by an empty name on v2.
    hierarchies: BTreeMap<String, PathBuf>,
}

impl Host {
    /// Looks.
    pub fn inspect() -> Result<Self> {
        let hierarchies = hierarchies()?;
        let layout = match (hierarchies.contains_key(""), hierarchies.len()) {
            (true, 1) => CgroupLayout::Unified,
            (true, _) => CgroupLayout::Hybrid,
            (false, _) => CgroupLayout::Legacy,
        };
        let enabled = |path: &str| fs::read_to_string(path).is_ok_and(|text| text.starts_with('Y'));
        Ok(Self {
            euid: rustix::process::geteuid().as_raw(),
            egid: rustix::process::getegid().as_raw(),
            layout,
            kernel: kernel()?,
            apparmor: enabled("/sys/module/apparmor/parameters/enabled"),
            selinux: Path::new("/sys/fs/selinux/enforce").exists(),
            capabilities: capabilities()?,
            hierarchies,
        })
    }

    /// Are we root?
    pub fn is_root(&self) -> bool {
        self.euid == 0
    }

    /// Is Linux at least that new?
    pub fn kernel_is(&self, major: u32, minor: u32) -> bool {
        self.kernel >= (major, minor)
    }

    /// Do we have the capability with this number?
    pub fn has_capability(&self, number: u32) -> bool {
        self.capabilities & (1 << number) != 0
    }

    /// Is there such a program?
    pub fn has_program(&self, name: &str) -> bool {
        find_program(name).is_some()
    }

    /// Is there such a v1 hierarchy, or is the controller available in the root of v2?
    pub fn has_controller(&self, name: &str) -> bool {
        self.hierarchies.contains_key(name) || self.v2_has(name)
    }

    fn v2_has(&self, name: &str) -> bool {
        let Some(root) = self.hierarchies.get("") else { return false };
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        controllers.split_whitespace().any(|controller| controller == name)
    }

    /// Is this controller a hierarchy of v1 here?
    pub fn is_v1(&self, controller: &str) -> bool {
        self.hierarchies.contains_key(controller)
    }

    /// The mount point of the hierarchy that has this controller.
    pub fn hierarchy(&self, controller: &str) -> Result<&Path> {
        let found = self.hierarchies.get(controller).or_else(|| self.hierarchies.get(""));
        found.map(PathBuf::as_path).with_context(|| format!("no cgroup hierarchy has {controller}"))
    }

    /// The mount points of all hierarchies.
    pub fn hierarchies(&self) -> Vec<&Path> {
        let mut all: Vec<_> = self.hierarchies.values().map(PathBuf::as_path).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The directory of the cgroup that `pid` is in, as far as this controller is concerned.
    pub fn cgroup_of(&self, pid: i32, controller: &str) -> Result<PathBuf> {
        let name = if self.is_v1(controller) { controller } else { "" };
        let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let path = memberships.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let names = fields.next()?;
            names.split(',').any(|other| other == name).then(|| fields.next()).flatten()
        });
        let path = path.with_context(|| format!("{pid} is in no cgroup of {controller:?}"))?;
        Ok(self.hierarchy(controller)?.join(path.trim_start_matches('/')))
    }

    /// Our own cgroup in the hierarchy that is mounted there.
    pub fn own_cgroup(&self, hierarchy: &Path) -> Result<PathBuf> {
        let found = self.hierarchies.iter().find(|(_, path)| *path == hierarchy);
        let (controller, _) = found.context("no such hierarchy")?;
        self.cgroup_of(i32::try_from(std::process::id())?, controller)
    }

    /// A file of the cgroup that `pid` is in, under its name on v1 or v2.
    pub fn limit_of(&self, pid: i32, controller: &str, [v1, v2]: [&str; 2]) -> Result<String> {
        let name = if self.is_v1(controller) { v1 } else { v2 };
        let path = self.cgroup_of(pid, controller)?.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
        Ok(text.trim().to_owned())
    }
}

fn hierarchies() -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for mount in host_mounts()? {
        let target = PathBuf::from(&mount.target);
        match mount.fstype.as_str() {
            "cgroup2" => {
                found.entry(String::new()).or_insert(target);
            }
            "cgroup" => {
                let words = mount.super_options.iter().filter(|word| is_controller(word));
                found.extend(words.map(|word| (word.clone(), target.clone())));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn is_controller(word: &str) -> bool {
    !["rw", "ro", "xattr", "clone_children", "noprefix"].contains(&word)
        && !word.starts_with("release_agent")
}

fn kernel() -> Result<(u32, u32)> {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).context("the version of Linux");
    Ok((next()?, next()?))
}

fn capabilities() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    Ok(u64::from_str_radix(line.context("no CapEff")?.trim(), 16)?)
}
