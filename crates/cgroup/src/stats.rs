//! What a cgroup has used.

use std::time::Duration;

use crate::cgroup::Target;
use crate::{Cgroup, Result};

/// What the processes of a cgroup use and have used. `None` where the controller is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Memory in use now, in bytes.
    pub memory: Option<u64>,
    /// The most memory that was in use, in bytes (Linux 5.19 on v2).
    pub memory_peak: Option<u64>,
    /// Processor time used.
    pub cpu: Option<Duration>,
    /// Processes and threads now.
    pub pids: Option<u64>,
}

impl Cgroup {
    /// Reads what the cgroup uses. Needs no privilege.
    pub fn stats(&self) -> Result<Stats> {
        let [memory, memory_peak] = match self.target("memory") {
            Some(Target::V1(_)) => ["memory.usage_in_bytes", "memory.max_usage_in_bytes"],
            _ => ["memory.current", "memory.peak"],
        };
        Ok(Stats {
            memory: self.number("memory", memory)?,
            memory_peak: self.number("memory", memory_peak)?,
            cpu: self.cpu_time()?,
            pids: self.number("pids", "pids.current")?,
        })
    }

    fn cpu_time(&self) -> Result<Option<Duration>> {
        if let Some(dir) = self.v1("cpuacct") {
            return dir.read_number("cpuacct.usage").map(Duration::from_nanos).map(Some);
        }
        let Some(dir) = &self.unified else { return Ok(None) };
        // In every v2 cgroup, whether or not the controller is enabled.
        let Some(text) = dir.read_if_there("cpu.stat")? else { return Ok(None) };
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok());
        let malformed = || dir.malformed("cpu.stat", &text, "a line usage_usec");
        usage.map(Duration::from_micros).map(Some).ok_or_else(malformed)
    }

    fn number(&self, controller: &str, file: &str) -> Result<Option<u64>> {
        let Some(Target::V1(dir) | Target::V2(dir)) = self.target(controller) else {
            return Ok(None);
        };
        match dir.read_number(file) {
            Err(error) if error.is_missing() => Ok(None),
            number => number.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::Dir;

    #[test]
    fn reads_v2_files() {
        let temp = tempfile::tempdir().unwrap();
        let files = [
            ("cgroup.procs", ""),
            ("cpu.stat", "usage_usec 1500\nuser_usec 3\n"),
            ("memory.current", "4096\n"),
        ];
        for (name, text) in files {
            std::fs::write(temp.path().join(name), text).unwrap();
        }
        let unified = Some(Dir::new(temp.path().into()));
        let stats = Cgroup { unified, ..Cgroup::default() }.stats().unwrap();
        let cpu = Some(Duration::from_micros(1500));
        assert_eq!(stats, Stats { memory: Some(4096), cpu, ..Stats::default() });
    }
}
