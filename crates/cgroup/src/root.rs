//! The cgroup hierarchies of this host, as this process sees them.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use coracle_sys::SyscallError;
use rustix::fs::{AtFlags, CWD, Mode as FileMode, OFlags, StatxFlags};

use crate::dir::{Dir, read_all};
use crate::mountinfo::{Membership, Mount, memberships, parse_mount};
use crate::{CgroupPath, Error, Result};

/// Where distributions mount the hierarchies.
const USUAL_PLACE: &str = "/sys/fs/cgroup";

/// Which versions of cgroups a host uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One v2 hierarchy with all controllers.
    Unified,
    /// Hierarchies of v1 beside one of v2, which may have the controllers that v1 does not.
    Hybrid,
    /// Hierarchies of v1 only.
    Legacy,
}

/// One tree of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub(crate) v2: bool,
    pub(crate) controllers: Vec<String>,
    pub(crate) mount_point: PathBuf,
    own: Option<PathBuf>,
}

impl Hierarchy {
    /// Whether this is the v2 hierarchy.
    pub fn is_v2(&self) -> bool {
        self.v2
    }

    /// The controllers of this hierarchy as the kernel names them; a named v1 hierarchy has one,
    /// such as `name=systemd`.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// The cgroup of the calling process, below the mount point. `None` if it lies outside: in a
    /// container whose mount shows a part of the hierarchy only.
    pub fn own(&self) -> Option<&Path> {
        self.own.as_deref()
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

/// The hierarchies of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupRoot {
    mode: Mode,
    hierarchies: Vec<Hierarchy>,
}

/// A record of where a cgroup is: a directory for each controller, and that of v2 under the
/// empty name. The same as `cgroup_paths` in runc's state.
pub type CgroupPaths = BTreeMap<String, PathBuf>;

impl CgroupRoot {
    /// Finds the hierarchies in /proc. Needs no privilege.
    ///
    /// Mounts that others hide are passed over. /proc/self/mountinfo is read only as far as
    /// needed: cgroups are mounted at boot, before the thousands of mounts of a busy host.
    pub fn discover() -> Result<Self> {
        let cgroup = read_proc("/proc/self/cgroup")?;
        let mut search = Search::new(&cgroup);
        each_line("/proc/self/mountinfo", |line| search.line(line, is_visible))?;
        search.finish()
    }

    /// A v2 hierarchy at another place than usual, or a part of it that was delegated: paths,
    /// absolute and relative, start at this directory.
    pub fn unified_at(directory: impl Into<PathBuf>) -> Result<Self> {
        let mount_point = directory.into();
        let controllers = v2_controllers(&mount_point)?;
        let own = Some(PathBuf::new());
        let hierarchy = Hierarchy { v2: true, controllers, mount_point, own };
        Ok(Self { mode: Mode::Unified, hierarchies: vec![hierarchy] })
    }

    /// Which versions are in use.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// All hierarchies, those of v1 first.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The hierarchy that has a controller.
    pub fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.has(controller))
    }

    /// Where a cgroup is, or will be: to be recorded before [`Cgroup::create`], so that
    /// [`Cgroup::open`] finds it whatever happens in between.
    ///
    /// [`Cgroup::create`]: crate::Cgroup::create
    /// [`Cgroup::open`]: crate::Cgroup::open
    pub fn paths(&self, path: &CgroupPath) -> Result<CgroupPaths> {
        let mut paths = CgroupPaths::new();
        for hierarchy in &self.hierarchies {
            match self.resolve(hierarchy, path) {
                // There it can be neither made nor left out without a word; its creation says which.
                Err(error) if error.is_missing() => {}
                below => paths.extend(hierarchy.record(&hierarchy.mount_point.join(below?))),
            }
        }
        Ok(paths)
    }

    /// The path of a cgroup below the mount point of a hierarchy.
    pub(crate) fn resolve(&self, hierarchy: &Hierarchy, path: &CgroupPath) -> Result<PathBuf> {
        if path.is_absolute() {
            return Ok(path.below().to_owned());
        }
        let own = hierarchy.own().ok_or_else(|| Error::MissingController {
            controller: hierarchy.controllers.first().cloned().unwrap_or_default(),
            setting: format!("the cgroup {}", path.below().display()),
            reason: "is not mounted here from the cgroup of this process on; give an absolute path"
                .into(),
        })?;
        // A v2 cgroup with processes, such as that of the caller, cannot give controllers to
        // those below it; so the new one goes beside it.
        let start = match self.mode {
            Mode::Unified => own.parent().unwrap_or(own),
            Mode::Hybrid | Mode::Legacy => own,
        };
        Ok(start.join(path.below()))
    }
}

impl Hierarchy {
    /// The entries of a record for a directory of this hierarchy.
    pub(crate) fn record(&self, directory: &Path) -> impl Iterator<Item = (String, PathBuf)> {
        let names = if self.v2 { vec![String::new()] } else { self.controllers.clone() };
        names.into_iter().map(move |name| (name, directory.to_owned()))
    }
}

/// The search for the mount of each hierarchy this process is in.
struct Search {
    memberships: Vec<Membership>,
    found: Vec<Option<Hierarchy>>,
    /// How many are not found at the usual place yet.
    missing: usize,
}

impl Search {
    fn new(cgroup: &str) -> Self {
        let memberships: Vec<_> = memberships(cgroup).collect();
        let missing = memberships.len();
        Self { found: memberships.iter().map(|_| None).collect(), memberships, missing }
    }

    /// Takes a line of mountinfo; whether that was all.
    fn line(&mut self, line: &[u8], is_visible: impl Fn(&Mount<'_>) -> bool) -> bool {
        if let Some(mount) = parse_mount(line) {
            self.mount(&mount, is_visible);
        }
        self.missing == 0
    }

    fn mount(&mut self, mount: &Mount<'_>, is_visible: impl Fn(&Mount<'_>) -> bool) {
        let Some(index) = self.memberships.iter().position(|m| mount.is_of(m)) else { return };
        let usual = mount.mount_point.starts_with(USUAL_PLACE);
        let better = match &self.found[index] {
            None => true,
            Some(found) => usual && !found.mount_point.starts_with(USUAL_PLACE),
        };
        if !better || !is_visible(mount) {
            return;
        }
        let membership = &self.memberships[index];
        self.found[index] = Some(Hierarchy {
            v2: mount.v2,
            controllers: membership.controllers.clone(),
            mount_point: mount.mount_point.clone(),
            own: below_mount(&membership.path, &mount.root),
        });
        if mount.v2 && mount.mount_point == Path::new(USUAL_PLACE) {
            self.missing = 0;
        } else if usual {
            self.missing -= 1;
        }
    }

    fn finish(self) -> Result<CgroupRoot> {
        let mut hierarchies: Vec<_> = self.found.into_iter().flatten().collect();
        hierarchies.sort_by_key(|hierarchy| hierarchy.v2);
        let v2 = hierarchies.last_mut().filter(|hierarchy| hierarchy.v2);
        let has_v2 = v2.is_some();
        let mut at_usual_place = false;
        if let Some(hierarchy) = v2 {
            at_usual_place = hierarchy.mount_point == Path::new(USUAL_PLACE);
            hierarchy.controllers = v2_controllers(&hierarchy.mount_point)?;
        }
        // A v1 hierarchy beside a v2 one at the usual place is somebody's own affair.
        if at_usual_place {
            hierarchies.drain(..hierarchies.len() - 1);
        }
        let mode = match (has_v2, hierarchies.len()) {
            (_, 0) => return Err(Error::NoHierarchy),
            (true, 1) => Mode::Unified,
            (true, _) => Mode::Hybrid,
            (false, _) => Mode::Legacy,
        };
        Ok(CgroupRoot { mode, hierarchies })
    }
}

/// Where a cgroup is below a mount that shows the hierarchy from `root` on.
fn below_mount(path: &Path, root: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix(root).ok()?;
    let outside = below.components().any(|c| c == std::path::Component::ParentDir);
    (!outside).then(|| below.to_owned())
}

/// Whether a mount is what one finds at its mount point, with no other mounted over it.
fn is_visible(mount: &Mount<'_>) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::statx(CWD, &mount.mount_point, flags, StatxFlags::empty())
        .is_ok_and(|status| (status.stx_dev_major, status.stx_dev_minor) == mount.device)
}

fn v2_controllers(directory: &Path) -> Result<Vec<String>> {
    let text = Dir::new(directory.to_owned()).read("cgroup.controllers")?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn read_proc(path: &str) -> Result<String> {
    let fd = open_proc(path)?;
    read_all(&fd).map_err(|errno| Error::read(SyscallError::new("read", path, errno)))
}

fn open_proc(path: &str) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, FileMode::empty())
        .map_err(|errno| Error::read(SyscallError::new("open", path, errno)))
}

/// Gives each line of a file to `enough` until that says so.
fn each_line(path: &str, mut enough: impl FnMut(&[u8]) -> bool) -> Result<()> {
    let fd = open_proc(path)?;
    let failed = |errno| Error::read(SyscallError::new("read", path, errno));
    let mut chunk = [0_u8; 4096];
    let mut pending = Vec::new();
    loop {
        let length = rustix::io::read(&fd, &mut chunk).map_err(failed)?;
        pending.extend_from_slice(&chunk[..length]);
        let complete = pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if length == 0 || pending[..complete].split(|byte| *byte == b'\n').any(&mut enough) {
            return Ok(());
        }
        pending.drain(..complete);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(cgroup: &str, mountinfo: &str) -> Search {
        let mut search = Search::new(cgroup);
        let enough =
            mountinfo.lines().any(|line| search.line(line.as_bytes(), |m| m.device.1 != 99));
        assert!(enough || search.missing > 0);
        search
    }

    fn v1(cgroup: &str, mountinfo: &str) -> CgroupRoot {
        search(cgroup, mountinfo).finish().unwrap()
    }

    const LEGACY: &str = "\
        20 1 8:1 / / rw - ext4 /dev/sda rw\n\
        31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";

    #[test]
    fn finds_joint_and_named_v1_hierarchies() {
        let root = v1("3:cpu,cpuacct:/a\n2:memory:/\n1:name=systemd:/b/c\n", LEGACY);
        assert_eq!(root.mode(), Mode::Legacy);
        assert_eq!(root.hierarchy("cpuacct"), root.hierarchy("cpu"));
        let systemd = root.hierarchy("name=systemd").unwrap();
        assert_eq!(systemd.own(), Some(Path::new("b/c")));

        let paths = root.paths(&CgroupPath::new("x").unwrap()).unwrap();
        let found: Vec<_> = paths.iter().map(|(k, v)| (k.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(
            found,
            [
                ("cpu", "/sys/fs/cgroup/cpu,cpuacct/a/x"),
                ("cpuacct", "/sys/fs/cgroup/cpu,cpuacct/a/x"),
                ("memory", "/sys/fs/cgroup/memory/x"),
                ("name=systemd", "/sys/fs/cgroup/systemd/b/c/x"),
            ]
        );
        let paths = root.paths(&CgroupPath::new("/p/x").unwrap()).unwrap();
        assert_eq!(paths["memory"], Path::new("/sys/fs/cgroup/memory/p/x"));
    }

    #[test]
    fn passes_over_hidden_and_unusual_mounts() {
        let mountinfo = "\
            1 0 0:99 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            2 0 0:30 / /var/lib/x/memory rw - cgroup cgroup rw,memory\n\
            3 0 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            4 0 0:30 / /var/lib/y/memory rw - cgroup cgroup rw,memory\n";
        let root = v1("2:memory:/\n", mountinfo);
        assert_eq!(root.hierarchies()[0].mount_point(), Path::new("/sys/fs/cgroup/memory"));
        let root = v1("2:memory:/\n", mountinfo.lines().nth(3).unwrap());
        assert_eq!(root.hierarchies()[0].mount_point(), Path::new("/var/lib/y/memory"));
    }

    #[test]
    fn a_nested_container_sees_its_own_part() {
        let line = "3 0 0:30 /docker/c1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let root = v1("2:memory:/docker/c1/sub\n", line);
        assert_eq!(root.hierarchies()[0].own(), Some(Path::new("sub")));

        for outside in ["/docker", "/docker/c1/../c2", "/docker/c10"] {
            let root = v1(&format!("2:memory:{outside}\n"), line);
            assert_eq!(root.hierarchies()[0].own(), None, "{outside}");
            let relative = CgroupPath::new("x").unwrap();
            assert!(root.paths(&relative).unwrap().is_empty());
            let error = root.resolve(&root.hierarchies()[0], &relative).unwrap_err();
            assert!(error.to_string().contains("give an absolute path"), "{error}");
            assert!(root.paths(&CgroupPath::new("/x").unwrap()).is_ok());
        }
    }

    #[test]
    fn without_mounts_there_is_no_hierarchy() {
        let error = search("2:memory:/\n0::/\n", "").finish().unwrap_err();
        assert!(matches!(error, Error::NoHierarchy));
    }

    #[test]
    fn a_relative_v2_path_goes_beside_the_caller() {
        let own = Some(PathBuf::from("user.slice/session-1.scope"));
        let mount_point = PathBuf::from(USUAL_PLACE);
        let hierarchy = Hierarchy { v2: true, controllers: Vec::new(), mount_point, own };
        let root = CgroupRoot { mode: Mode::Unified, hierarchies: vec![hierarchy.clone()] };
        let path = CgroupPath::new("x").unwrap();
        assert_eq!(root.resolve(&hierarchy, &path).unwrap(), Path::new("user.slice/x"));
        let hybrid = CgroupRoot { mode: Mode::Hybrid, ..root };
        let expected = Path::new("user.slice/session-1.scope/x");
        assert_eq!(hybrid.resolve(&hierarchy, &path).unwrap(), expected);
        let root = CgroupRoot::unified_at("/nonexistent");
        assert!(matches!(root, Err(Error::Gone { .. })));
    }

    #[test]
    fn finds_the_hierarchies_of_this_host() {
        let root = match CgroupRoot::discover() {
            Ok(root) => root,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        assert!(!root.hierarchies().is_empty());
        for hierarchy in root.hierarchies() {
            assert!(hierarchy.mount_point().join("cgroup.procs").exists(), "{hierarchy:?}");
        }
    }
}
