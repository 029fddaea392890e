//! Huge pages: `hugetlb` of both versions.

use std::collections::{BTreeMap, BTreeSet};

use coracle_sys::SyscallError;

use super::files::{limit, number, text, value};
use crate::cgroup::Target;
use crate::dir::Dir;
use crate::{Cgroup, Error, Result};

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HugePageStats {
    /// What is in use.
    pub usage: HugePageUsage,
    /// What is promised to processes, used or not (Linux 5.7).
    pub reserved: Option<HugePageUsage>,
}

/// How many bytes of huge pages there are, in use or reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HugePageUsage {
    /// Bytes now.
    pub current: u64,
    /// The most there were at a time, on v1.
    pub peak: Option<u64>,
    /// The most there may be; `None` is any number.
    pub limit: Option<u64>,
    /// How often the limit was reached. v2 does not tell it of reservations.
    pub failures: Option<u64>,
}

pub(super) fn read(cgroup: &Cgroup) -> Result<BTreeMap<String, HugePageStats>> {
    let (dir, read): (_, fn(&Dir, &str) -> Result<_>) = match cgroup.target("hugetlb") {
        Some(Target::V1(dir)) => (dir, v1),
        Some(Target::V2(dir)) => (dir, v2),
        None => return Ok(BTreeMap::new()),
    };
    let mut all = BTreeMap::new();
    for size in sizes(dir)? {
        let Some(usage) = read(dir, &format!("hugetlb.{size}"))? else { continue };
        let reserved = read(dir, &format!("hugetlb.{size}.rsvd"))?;
        all.insert(size, HugePageStats { usage, reserved });
    }
    Ok(all)
}

/// The sizes that the cgroup has files for.
fn sizes(dir: &Dir) -> Result<BTreeSet<String>> {
    let failed =
        |errno| Error::read(SyscallError::new("getdents64", dir.path().to_string_lossy(), errno));
    let mut sizes = BTreeSet::new();
    for entry in rustix::fs::Dir::read_from(dir.fd()?).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy();
        sizes.extend(
            name.strip_prefix("hugetlb.")
                .and_then(|rest| rest.split('.').next())
                .map(str::to_owned),
        );
    }
    Ok(sizes)
}

fn v1(dir: &Dir, prefix: &str) -> Result<Option<HugePageUsage>> {
    let Some(current) = number(dir, &format!("{prefix}.usage_in_bytes"))? else { return Ok(None) };
    Ok(Some(HugePageUsage {
        current,
        peak: number(dir, &format!("{prefix}.max_usage_in_bytes"))?,
        limit: limit(dir, &format!("{prefix}.limit_in_bytes"))?.flatten(),
        failures: number(dir, &format!("{prefix}.failcnt"))?,
    }))
}

fn v2(dir: &Dir, prefix: &str) -> Result<Option<HugePageUsage>> {
    let Some(current) = number(dir, &format!("{prefix}.current"))? else { return Ok(None) };
    let events = text(dir, &format!("{prefix}.events"))?;
    Ok(Some(HugePageUsage {
        current,
        peak: None,
        limit: limit(dir, &format!("{prefix}.max"))?.flatten(),
        failures: events.and_then(|events| value(&events, "max")),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::files::test::cgroup;
    use super::*;

    #[test]
    fn reads_version_1() {
        let (_temp, cgroup) = cgroup(&[
            ("hugetlb/hugetlb.2MB.usage_in_bytes", "2097152\n"),
            ("hugetlb/hugetlb.2MB.max_usage_in_bytes", "4194304\n"),
            ("hugetlb/hugetlb.2MB.limit_in_bytes", "9223372036854771712\n"),
            ("hugetlb/hugetlb.2MB.failcnt", "1\n"),
            ("hugetlb/hugetlb.2MB.rsvd.usage_in_bytes", "6291456\n"),
            ("hugetlb/hugetlb.1GB.usage_in_bytes", "0\n"),
        ]);
        let all = read(&cgroup).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["1GB", "2MB"]);
        let usage =
            HugePageUsage { current: 2 << 20, peak: Some(4 << 20), limit: None, failures: Some(1) };
        assert_eq!(all["2MB"].usage, usage);
        assert_eq!(all["2MB"].reserved.unwrap().current, 6 << 20);
        assert_eq!(all["1GB"], HugePageStats::default());
    }

    #[test]
    fn reads_version_2() {
        let (_temp, cgroup) = cgroup(&[
            ("hugetlb.64KB.current", "65536\n"),
            ("hugetlb.64KB.max", "131072\n"),
            ("hugetlb.64KB.events", "max 9\n"),
            ("hugetlb.64KB.rsvd.current", "0\n"),
            ("hugetlb.64KB.rsvd.max", "max\n"),
            ("hugetlb.64KB.numa_stat", "total=0 N0=0\n"),
        ]);
        let stats = read(&cgroup).unwrap()["64KB"];
        let usage =
            HugePageUsage { current: 65_536, peak: None, limit: Some(131_072), failures: Some(9) };
        assert_eq!(stats, HugePageStats { usage, reserved: Some(HugePageUsage::default()) });
    }
}
