//! RDMA devices: `rdma` of both versions.

use std::collections::BTreeMap;

use super::files::{parse_limit, text};
use crate::cgroup::Target;
use crate::{Cgroup, Result};

/// What is taken of one RDMA device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RdmaStats {
    /// Handles of the device now.
    pub handles: u64,
    /// The most there may be; `None` is any number.
    pub handles_limit: Option<u64>,
    /// Objects of the device now.
    pub objects: u64,
    /// The most there may be; `None` is any number.
    pub objects_limit: Option<u64>,
}

pub(super) fn read(cgroup: &Cgroup) -> Result<BTreeMap<String, RdmaStats>> {
    let Some(Target::V1(dir) | Target::V2(dir)) = cgroup.target("rdma") else {
        return Ok(BTreeMap::new());
    };
    let Some(current) = text(dir, "rdma.current")? else { return Ok(BTreeMap::new()) };
    let limits = text(dir, "rdma.max")?.unwrap_or_default();
    let mut all = BTreeMap::<String, RdmaStats>::new();
    for (device, key, value) in fields(&current) {
        let stats = all.entry(device.to_owned()).or_default();
        match key {
            "hca_handle" => stats.handles = value.unwrap_or_default(),
            "hca_object" => stats.objects = value.unwrap_or_default(),
            _ => {}
        }
    }
    for (device, key, value) in fields(&limits) {
        let Some(stats) = all.get_mut(device) else { continue };
        match key {
            "hca_handle" => stats.handles_limit = value,
            "hca_object" => stats.objects_limit = value,
            _ => {}
        }
    }
    Ok(all)
}

/// From lines as `mlx4_0 hca_handle=2 hca_object=max`.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str, Option<u64>)> {
    text.lines().flat_map(|line| {
        let mut words = line.split_whitespace();
        let device = words.next().unwrap_or_default();
        let pairs = words.filter_map(|word| word.split_once('='));
        pairs.filter_map(move |(key, value)| Some((device, key, parse_limit(value)?)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::test::cgroup;
    use super::*;

    #[test]
    fn reads_devices() {
        for prefix in ["rdma/", ""] {
            let [current, max] = ["rdma.current", "rdma.max"].map(|file| format!("{prefix}{file}"));
            let (_temp, cgroup) = cgroup(&[
                (&current, "mlx4_0 hca_handle=1 hca_object=20 new=3\nocrdma1 hca_handle=0\n"),
                (&max, "mlx4_0 hca_handle=2 hca_object=max\nother hca_handle=1\n"),
            ]);
            let all = read(&cgroup).unwrap();
            assert_eq!(all.keys().collect::<Vec<_>>(), ["mlx4_0", "ocrdma1"]);
            let expected =
                RdmaStats { handles: 1, handles_limit: Some(2), objects: 20, objects_limit: None };
            assert_eq!(all["mlx4_0"], expected);
        }
        assert!(read(&Cgroup::default()).unwrap().is_empty());
    }
}
