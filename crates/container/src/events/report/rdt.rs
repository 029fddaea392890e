//! `intel_rdt`: shares of caches and memory bandwidth.

use coracle_rdt::{DomainStats, Stats};
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
pub(super) struct Rdt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_info: Option<CacheInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_schema_root: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_bw_info: Option<BandwidthInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_bw_schema_root: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_bw_schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mbm_stats: Vec<Bandwidth>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmt_stats: Vec<Occupancy>,
}

#[derive(Debug, Serialize)]
struct CacheInfo<'a> {
    cbm_mask: &'a str,
    min_cbm_bits: u64,
    num_closids: u64,
}

#[derive(Debug, Serialize)]
struct BandwidthInfo {
    bandwidth_gran: u64,
    delay_linear: u64,
    min_bandwidth: u64,
    num_closids: u64,
}

#[derive(Debug, Serialize)]
struct Bandwidth {
    #[serde(skip_serializing_if = "Option::is_none")]
    mbm_total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mbm_local_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Occupancy {
    llc_occupancy: u64,
}

impl<'a> Rdt<'a> {
    pub(super) fn new(stats: &'a Stats) -> Self {
        let line = |lines: &'a [String], resource| {
            lines.iter().map(String::as_str).find(|line| line.starts_with(resource))
        };
        let bandwidth = |domain: &DomainStats| Bandwidth {
            mbm_total_bytes: domain.mbm_total_bytes,
            mbm_local_bytes: domain.mbm_local_bytes,
        };
        let counted = |domain: &&DomainStats| {
            domain.mbm_total_bytes.is_some() || domain.mbm_local_bytes.is_some()
        };
        let occupied = stats.domains.iter().filter_map(|domain| domain.llc_occupancy);
        Self {
            l3_cache_info: stats.cache.as_ref().map(|info| CacheInfo {
                cbm_mask: &info.cbm_mask,
                min_cbm_bits: info.min_cbm_bits,
                num_closids: info.num_closids,
            }),
            l3_cache_schema_root: line(&stats.root_schemata, "L3"),
            l3_cache_schema: line(&stats.schemata, "L3"),
            mem_bw_info: stats.bandwidth.map(|info| BandwidthInfo {
                bandwidth_gran: info.bandwidth_gran,
                delay_linear: info.delay_linear,
                min_bandwidth: info.min_bandwidth,
                num_closids: info.num_closids,
            }),
            mem_bw_schema_root: line(&stats.root_schemata, "MB"),
            mem_bw_schema: line(&stats.schemata, "MB"),
            mbm_stats: stats.domains.iter().filter(counted).map(bandwidth).collect(),
            cmt_stats: occupied.map(|llc_occupancy| Occupancy { llc_occupancy }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_keys_of_runc() {
        let mut stats = Stats::default();
        stats.schemata = vec!["MB:0=20".into(), "L3:0=f".into()];
        stats.domains = vec![DomainStats { llc_occupancy: Some(4096), ..DomainStats::default() }];
        assert_eq!(
            serde_json::to_string(&Rdt::new(&stats)).unwrap(),
            r#"{"l3_cache_schema":"L3:0=f","mem_bw_schema":"MB:0=20","cmt_stats":[{"llc_occupancy":4096}]}"#
        );
    }
}
