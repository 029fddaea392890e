//! Making a cgroup in every hierarchy.

use std::path::{Path, PathBuf};

use coracle_sys::{Errno, SyscallError};
use rustix::fs::Mode as FileMode;

use crate::cgroup::{Legacy, pids_below};
use crate::dir::Dir;
use crate::root::{Hierarchy, Mode};
use crate::v2::enable::{await_others, enable};
use crate::v2::events::Events;
use crate::{Cgroup, CgroupPath, CgroupRoot, Error, Permissions, Result, Skipped, v1};

impl Cgroup {
    /// Makes a cgroup in every hierarchy, with the directories above it that are missing.
    ///
    /// On v2 all controllers are enabled for it as far as the kernel lets; what it does not is in
    /// [`Cgroup::skipped`]. On v1 an empty cpuset gets what its parent has. Limits come later,
    /// with [`Cgroup::set`].
    ///
    /// An empty cgroup that exists is taken over; one with processes ([`Error::NotEmpty`]), or
    /// one that is frozen or below a frozen one ([`Error::Frozen`]), is refused. On failure all
    /// that was made is removed again. With [`Permissions::BestEffort`] a hierarchy that the
    /// caller may not use is skipped, even if that leaves none.
    pub fn create(root: &CgroupRoot, path: &CgroupPath, permissions: Permissions) -> Result<Self> {
        Self::make_all(root, path, (permissions, false))
    }

    /// The same for a cgroup that somebody made for us, as systemd does with a first process in it. Where it
    /// is missing, as systemd does not use every hierarchy of v1, it is made.
    pub fn adopt(root: &CgroupRoot, path: &CgroupPath, permissions: Permissions) -> Result<Self> {
        Self::make_all(root, path, (permissions, true))
    }

    fn make_all(
        root: &CgroupRoot,
        path: &CgroupPath,
        (permissions, adopt): (Permissions, bool),
    ) -> Result<Self> {
        let mut cgroup = Self::default();
        for hierarchy in root.hierarchies() {
            let made_before = cgroup.created.len();
            match cgroup.make(root, hierarchy, (path, adopt)) {
                Err(error)
                    if permissions == Permissions::BestEffort
                        && (error.is_permission() || error.is_missing()) =>
                {
                    cgroup.roll_back(made_before);
                    cgroup.skip(hierarchy, &error);
                }
                Err(error) => {
                    cgroup.roll_back(0);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(cgroup)
    }

    fn make(
        &mut self,
        root: &CgroupRoot,
        at: &Hierarchy,
        (path, adopt): (&CgroupPath, bool),
    ) -> Result<()> {
        let below = root.resolve(at, path)?;
        let directory = at.mount_point.join(&below);
        let unified = at.v2 && root.mode() == Mode::Unified;
        if unified {
            self.enable_above(at, &below)?;
        }
        let existed = !self.make_directories(&at.mount_point, &below)?;
        let dir = Dir::new(directory);
        if at.v2 {
            if unified && existed {
                await_others(&dir);
            }
            prepare_v2(&dir, (unified, adopt))?;
            self.unified = Some(dir);
        } else {
            prepare_v1(at, &dir, (existed, adopt))?;
            self.legacy.push(Legacy { controllers: at.controllers.clone(), dir });
        }
        Ok(())
    }

    /// Whether the last directory was not there before.
    fn make_directories(&mut self, mount_point: &Path, below: &Path) -> Result<bool> {
        let leaf = mount_point.join(below);
        let mut made = make_directory(&leaf)?;
        if made == Made::NoParent {
            let mut directory = mount_point.to_owned();
            for name in below.parent().unwrap_or(Path::new("")) {
                directory.push(name);
                if make_directory(&directory)? == Made::New {
                    self.created.push(directory.clone());
                }
            }
            made = make_directory(&leaf)?;
        }
        match made {
            Made::New => self.created.push(leaf),
            Made::Existed => return Ok(false),
            Made::NoParent => return Err(Error::Gone { path: leaf }),
        }
        Ok(true)
    }

    /// Makes what is above a v2 cgroup and enables the controllers there, before the cgroup itself is made: while
    /// the kernel gives them to those that are there, it says already that they are enabled, but it makes none.
    fn enable_above(&mut self, at: &Hierarchy, below: &Path) -> Result<()> {
        let Some(above) = below.parent() else { return Ok(()) };
        let parent = at.mount_point.join(above);
        if !parent.is_dir() {
            self.make_directories(&at.mount_point, above)?;
        }
        self.skipped.extend(enable(&at.mount_point, &parent, &at.controllers)?);
        Ok(())
    }

    fn skip(&mut self, hierarchy: &Hierarchy, reason: &Error) {
        let names = hierarchy.record(&hierarchy.mount_point).map(|(name, _)| name);
        self.skipped.extend(names.map(|controller| Skipped { controller, reason: reason.clone() }));
    }

    /// Removes all directories made but the first ones. What somebody moved into meanwhile stays.
    fn roll_back(&mut self, keep: usize) {
        for directory in self.created.drain(keep..).rev() {
            match rustix::fs::rmdir(&directory) {
                // The error that led here is the one to report.
                Ok(()) | Err(_) => {}
            }
        }
    }
}

fn prepare_v2(dir: &Dir, (usable, adopt): (bool, bool)) -> Result<()> {
    let events = Events::read(dir)?;
    if events.populated && !adopt {
        return Err(not_empty(dir)?);
    }
    if events.frozen {
        return Err(Error::Frozen { path: dir.path().to_owned() });
    }
    if !usable {
        return Ok(());
    }
    // Below a threaded cgroup it cannot be used but as a threaded one.
    match dir.read_if_there("cgroup.type")?.as_deref().map(str::trim) {
        Some("domain invalid") => dir.write("cgroup.type", "threaded"),
        _ => Ok(()),
    }
}

fn prepare_v1(at: &Hierarchy, dir: &Dir, (existed, adopt): (bool, bool)) -> Result<()> {
    if existed && !adopt && !pids_below(dir)?.is_empty() {
        return Err(not_empty(dir)?);
    }
    for controller in &at.controllers {
        match controller.as_str() {
            "cpuset" => v1::cpuset::inherit(&at.mount_point, dir.path(), !existed).map(drop)?,
            // A new one is frozen if the one above it is.
            "freezer" if v1::freezer::is_frozen(dir)? => {
                return Err(Error::Frozen { path: dir.path().to_owned() });
            }
            _ => {}
        }
    }
    Ok(())
}

fn not_empty(dir: &Dir) -> Result<Error> {
    Ok(Error::NotEmpty { path: dir.path().to_owned(), processes: pids_below(dir)?.len() })
}

#[derive(PartialEq, Eq)]
enum Made {
    New,
    Existed,
    NoParent,
}

fn make_directory(path: &PathBuf) -> Result<Made> {
    match rustix::fs::mkdir(path, FileMode::from_raw_mode(0o755)) {
        Ok(()) => Ok(Made::New),
        Err(Errno::EXIST) => Ok(Made::Existed),
        Err(Errno::NOENT) => Ok(Made::NoParent),
        Err(errno) => Err(Error::create(SyscallError::new("mkdir", path.to_string_lossy(), errno))),
    }
}
