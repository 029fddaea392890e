//! Memory and swap.

use std::collections::BTreeMap;

use coracle_cgroup::{MemoryStats, MemoryUsage};
use serde::Serialize;

use super::{Psi, is_zero};

/// What v1 calls "unlimited" on hosts with pages of 4 KiB.
const V1_UNLIMITED: u64 = 0x7FFF_FFFF_FFFF_F000;
/// What runc calls "unlimited" on v2.
const V2_UNLIMITED: u64 = u64::MAX;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: MemoryEntry,
    swap: MemoryEntry,
    kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: MemoryEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'a BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Default, Serialize)]
struct MemoryEntry {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

impl<'a> Memory<'a> {
    pub(super) fn new(memory: &'a MemoryStats) -> Self {
        // A key of v1 alone.
        let is_v1 = memory.raw.contains_key("hierarchical_memory_limit");
        let unlimited = if is_v1 { V1_UNLIMITED } else { V2_UNLIMITED };
        let entry = |usage: Option<&MemoryUsage>| {
            usage.map(|usage| MemoryEntry::new(usage, unlimited)).unwrap_or_default()
        };
        Self {
            cache: memory.cache,
            usage: MemoryEntry::new(&memory.usage, unlimited),
            swap: match &memory.with_swap {
                None if !is_v1 => MemoryEntry::with_swap(memory),
                with_swap => entry(with_swap.as_ref()),
            },
            kernel: entry(memory.kernel.as_ref()),
            kernel_tcp: entry(memory.kernel_tcp.as_ref()),
            raw: Some(&memory.raw).filter(|raw| !raw.is_empty()),
            psi: memory.pressure.as_ref().map(Psi::new),
        }
    }
}

impl MemoryEntry {
    fn new(usage: &MemoryUsage, unlimited: u64) -> Self {
        Self {
            limit: usage.limit.unwrap_or(unlimited),
            usage: usage.current,
            max: usage.peak.unwrap_or_default(),
            failcnt: usage.failures,
        }
    }

    /// Memory and swap together, as v1 counts it, from what v2 counts apart. Their peaks are not of the same
    /// moment, so they have no sum.
    fn with_swap(memory: &MemoryStats) -> Self {
        let MemoryUsage { current, limit, failures, .. } = memory.swap.unwrap_or_default();
        let without_limit = memory.swap.is_some() && limit.is_none();
        let limit = memory.usage.limit.filter(|_| !without_limit);
        let swap_limit = memory.swap.and_then(|swap| swap.limit).unwrap_or_default();
        Self {
            limit: limit.map_or(V2_UNLIMITED, |limit| limit.saturating_add(swap_limit)),
            usage: memory.usage.current.saturating_add(current),
            max: 0,
            failcnt: failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(current: u64, limit: Option<u64>) -> MemoryUsage {
        let mut usage = MemoryUsage::default();
        (usage.current, usage.limit) = (current, limit);
        usage
    }

    fn swap(memory: Option<u64>, swap: Option<MemoryUsage>) -> MemoryEntry {
        let mut stats = MemoryStats::default();
        stats.usage = usage(100, memory);
        stats.swap = swap;
        Memory::new(&stats).swap
    }

    #[test]
    fn swap_of_version_2_includes_memory() {
        let seen = swap(Some(1000), Some(usage(20, Some(500))));
        assert_eq!((seen.usage, seen.limit, seen.max), (120, 1500, 0));
        assert_eq!(swap(Some(1000), Some(usage(20, None))).limit, u64::MAX);
        assert_eq!(swap(None, Some(usage(20, Some(500)))).limit, u64::MAX);
        // Without swap, memory is all there is.
        let seen = swap(Some(1000), None);
        assert_eq!((seen.usage, seen.limit), (100, 1000));
    }

    #[test]
    fn version_1_is_as_it_is() {
        let mut stats = MemoryStats::default();
        stats.raw = [("hierarchical_memory_limit".to_owned(), 1)].into();
        stats.usage = usage(100, Some(1000));
        stats.with_swap = Some(usage(120, None));
        let memory = Memory::new(&stats);
        assert_eq!((memory.swap.usage, memory.swap.limit), (120, 9_223_372_036_854_771_712));
        stats.with_swap = None;
        assert_eq!(Memory::new(&stats).swap.usage, 0);
        assert_eq!(
            serde_json::to_string(&Memory::new(&stats)).unwrap(),
            r#"{"usage":{"limit":1000,"usage":100,"failcnt":0},"swap":{"limit":0,"failcnt":0},"kernel":{"limit":0,"failcnt":0},"kernelTCP":{"limit":0,"failcnt":0},"raw":{"hierarchical_memory_limit":1}}"#
        );
    }
}
