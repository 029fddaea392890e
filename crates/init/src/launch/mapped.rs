//! Id-mapped mounts, made while the launcher has the privileges of the host.

use std::os::fd::BorrowedFd;

use coracle_mount::DetachedMount;
use coracle_ns::NsFd;
use coracle_ns::idmap::{IdMap, user_namespace};
use coracle_sys::procfs::ProcRoot;

use crate::InitError;
use crate::error::Step;
use crate::plan::{BindPlan, BindSource, IdMapPlan, MountKind, MountStep, MountUsers};
use crate::setup::{Found, Source, find};

/// Makes the id-mapped mounts of a container.
pub(super) struct Mapper<'fd> {
    pub(super) proc: &'fd ProcRoot,
    /// The user namespace that the container joins.
    pub(super) joined: Option<BorrowedFd<'fd>>,
    /// The container is in another user namespace than the launcher.
    pub(super) foreign: bool,
    /// Made for the purpose, one for all mounts with the same maps.
    made: Vec<(IdMap, IdMap, NsFd)>,
}

impl<'fd> Mapper<'fd> {
    pub(super) fn new(proc: &'fd ProcRoot, joined: Option<BorrowedFd<'fd>>, foreign: bool) -> Self {
        Self { proc, joined, foreign, made: Vec::new() }
    }

    /// The source of `step`, if its owners are to be mapped.
    pub(super) fn source(&mut self, step: &MountStep) -> Result<Option<Source>, InitError> {
        let MountKind::Bind(bind) = &step.kind else { return Ok(None) };
        let BindPlan { source: BindSource::Host(path), id_map: Some(map), .. } = bind else {
            return Ok(None);
        };
        let name = || format!("mounting {} ({})", step.path.display(), step.name);
        let found = find(path, bind.recursive, bind.link).step(name())?;
        if let Found::Tree(tree) = &found {
            self.map(tree, map, &name())?;
        }
        Ok(Some(Source::mapped(path, found, self.foreign)))
    }

    fn map(&mut self, tree: &DetachedMount, map: &IdMapPlan, step: &str) -> Result<(), InitError> {
        match &map.users {
            MountUsers::Joined => {
                let none = || InitError::message(step, "no user namespace is joined");
                tree.map_ids(self.joined.ok_or_else(none)?, map.recursive).step(step)
            }
            MountUsers::Maps { uids, gids } => {
                tree.map_ids(self.namespace(uids, gids).step(step)?, map.recursive).step(step)
            }
        }
    }

    fn namespace(&mut self, uids: &IdMap, gids: &IdMap) -> coracle_ns::Result<&NsFd> {
        let known = self.made.iter().position(|(u, g, _)| (u, g) == (uids, gids));
        let index = match known {
            Some(index) => index,
            None => {
                let made = user_namespace(self.proc, uids, gids)?;
                self.made.push((uids.clone(), gids.clone(), made));
                self.made.len() - 1
            }
        };
        Ok(&self.made[index].2)
    }
}
