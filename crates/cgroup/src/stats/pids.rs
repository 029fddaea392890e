//! Processes and threads: `pids` of both versions.

use super::files::{limit, number};
use crate::cgroup::Target;
use crate::{Cgroup, Result};

/// How many processes and threads there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PidsStats {
    /// Processes and threads now.
    pub current: u64,
    /// The most there may be; `None` is any number.
    pub limit: Option<u64>,
}

pub(super) fn read(cgroup: &Cgroup) -> Result<Option<PidsStats>> {
    let Some(Target::V1(dir) | Target::V2(dir)) = cgroup.target("pids") else { return Ok(None) };
    let Some(current) = number(dir, "pids.current")? else { return Ok(None) };
    Ok(Some(PidsStats { current, limit: limit(dir, "pids.max")?.flatten() }))
}

#[cfg(test)]
mod tests {
    use super::super::files::test::cgroup;
    use super::*;

    #[test]
    fn reads_both_versions() {
        for prefix in ["pids/", ""] {
            let [current, max] = ["pids.current", "pids.max"].map(|file| format!("{prefix}{file}"));
            let (_temp, limited) = cgroup(&[(&current, "3\n"), (&max, "77\n")]);
            let stats = read(&limited).unwrap().unwrap();
            assert_eq!(stats, PidsStats { current: 3, limit: Some(77) });
            let (_temp, unlimited) = cgroup(&[(&current, "3\n"), (&max, "max\n")]);
            assert_eq!(read(&unlimited).unwrap().unwrap().limit, None);
        }
        let (_temp, without) = cgroup(&[("cpu.stat", "")]);
        assert_eq!(read(&without).unwrap(), None);
    }
}
