//! Changing limits of a cgroup that is in use: all or none.

use crate::cgroup::Target;
use crate::convert::nonzero;
use crate::{Cgroup, Cpu, Error, Memory, Permissions, Resources, Result, Skipped};

impl Cgroup {
    /// Sets limits as [`Cgroup::set`] does, but if one of them is refused all files that were written get
    /// back what was in them.
    ///
    /// A quota without a period, a period without a quota, and a limit of memory and swap without one of
    /// memory go with what the cgroup has. `commit` is called with the limits when all is set, as to tell
    /// others; if it fails, everything is taken back, too. [`Resources::devices`] are not part of it: they
    /// are left as they are.
    pub fn update<E: From<Error>>(
        &self,
        resources: &Resources,
        permissions: Permissions,
        commit: impl FnOnce(&Resources) -> Result<(), E>,
    ) -> Result<Vec<Skipped>, E> {
        let resources = Resources {
            devices: Vec::new(),
            memory: self.complete_memory(resources.memory)?,
            cpu: self.complete_cpu(&resources.cpu)?,
            ..resources.clone()
        };
        self.dirs().for_each(|dir| dir.journal().begin());
        let result = self.set(&resources, permissions).map_err(E::from);
        let result = result.and_then(|skipped| commit(&resources).map(|()| skipped));
        for dir in self.dirs() {
            for (file, value) in dir.journal().end().into_iter().rev().filter(|_| result.is_err()) {
                // What was refused is the error to report, and what a file had the kernel takes again.
                dir.write(&file, &value).unwrap_or_default();
            }
        }
        result
    }

    /// v2 has a limit of swap alone, which is what the limit of both leaves.
    fn complete_memory(&self, memory: Memory) -> Result<Memory> {
        let alone = nonzero(memory.limit).is_none() && memory.swap.is_some_and(|swap| swap > 0);
        let Some(Target::V2(dir)) = self.target("memory").filter(|_| alone) else {
            return Ok(memory);
        };
        let limit = dir.read_if_there("memory.max")?.unwrap_or_default();
        Ok(Memory { limit: limit.trim().parse().ok(), ..memory })
    }

    fn complete_cpu(&self, cpu: &Cpu) -> Result<Cpu> {
        let (quota, period) = (nonzero(cpu.quota), nonzero(cpu.period));
        if quota.is_some() == period.is_some() {
            return Ok(cpu.clone());
        }
        let (old_quota, old_period) = match self.target("cpu") {
            None => return Ok(cpu.clone()),
            Some(Target::V1(dir)) => {
                (dir.read_if_there("cpu.cfs_quota_us")?, dir.read_if_there("cpu.cfs_period_us")?)
            }
            Some(Target::V2(dir)) => {
                let both = dir.read_if_there("cpu.max")?.unwrap_or_default();
                both.split_once(' ').map(|(quota, period)| (quota.into(), period.into())).unzip()
            }
        };
        let number = |text: Option<String>| text?.trim().parse::<i64>().ok().filter(|n| *n > 0);
        Ok(Cpu {
            quota: quota.or(number(old_quota)),
            period: period.or(number(old_period).and_then(|period| u64::try_from(period).ok())),
            ..cpu.clone()
        })
    }
}
