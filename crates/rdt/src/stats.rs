//! What a group may use, and uses.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use coracle_sys::SyscallError;

use crate::{Error, Group, Result};

/// What the level 3 caches offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheInfo {
    /// The mask of a whole cache, in hexadecimal.
    pub cbm_mask: String,
    /// How many bits a mask must have at least.
    pub min_cbm_bits: u64,
    /// How many classes of service there can be.
    pub num_closids: u64,
}

/// How memory bandwidth can be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BandwidthInfo {
    /// In which steps, in percent.
    pub bandwidth_gran: u64,
    /// Whether the delay grows with the share as a line does (1).
    pub delay_linear: u64,
    /// The smallest share, in percent.
    pub min_bandwidth: u64,
    /// How many classes of service there can be.
    pub num_closids: u64,
}

/// What a group uses of one level 3 cache and the memory behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainStats {
    /// Occupied in the cache, in bytes.
    pub llc_occupancy: Option<u64>,
    /// Bytes to and from all memory, since the group was made.
    pub mbm_total_bytes: Option<u64>,
    /// Bytes to and from the memory of the node, likewise.
    pub mbm_local_bytes: Option<u64>,
}

/// What a group may use, and uses. What the processor cannot do is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// What the level 3 caches offer.
    pub cache: Option<CacheInfo>,
    /// How memory bandwidth can be shared.
    pub bandwidth: Option<BandwidthInfo>,
    /// The lines of the root's `schemata`.
    pub root_schemata: Vec<String>,
    /// The lines of the group's.
    pub schemata: Vec<String>,
    /// For each level 3 cache, in the order of their numbers.
    pub domains: Vec<DomainStats>,
}

impl Group {
    /// What the group may use, and uses. `counted` is the group that counts: this one, or a monitoring group
    /// in it.
    pub fn stats(&self, counted: &Self) -> Result<Stats> {
        let info = self.root().join("info");
        let root = Self::new(self.root(), self.root());
        Ok(Stats {
            cache: cache(&info.join("L3"))?,
            bandwidth: bandwidth(&info.join("MB"))?,
            root_schemata: lines(&root.read("schemata")?),
            schemata: lines(&self.read("schemata")?),
            domains: domains(&counted.path().join("mon_data"))?,
        })
    }
}

fn lines(schemata: &str) -> Vec<String> {
    schemata.lines().map(|line| line.trim().to_owned()).collect()
}

fn cache(info: &Path) -> Result<Option<CacheInfo>> {
    let Some(mask) = text(&info.join("cbm_mask"))? else { return Ok(None) };
    Ok(Some(CacheInfo {
        cbm_mask: mask,
        min_cbm_bits: number(&info.join("min_cbm_bits"))?.unwrap_or_default(),
        num_closids: number(&info.join("num_closids"))?.unwrap_or_default(),
    }))
}

fn bandwidth(info: &Path) -> Result<Option<BandwidthInfo>> {
    let Some(bandwidth_gran) = number(&info.join("bandwidth_gran"))? else { return Ok(None) };
    Ok(Some(BandwidthInfo {
        bandwidth_gran,
        delay_linear: number(&info.join("delay_linear"))?.unwrap_or_default(),
        min_bandwidth: number(&info.join("min_bandwidth"))?.unwrap_or_default(),
        num_closids: number(&info.join("num_closids"))?.unwrap_or_default(),
    }))
}

/// By the directories `mon_L3_00` and so on.
fn domains(data: &Path) -> Result<Vec<DomainStats>> {
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed("open", data, &error))?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_l3 = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("mon_L3_"))
    };
    let mut paths: Vec<_> = paths.filter(is_l3).collect();
    paths.sort();
    let domain = |path: &std::path::PathBuf| {
        Ok(DomainStats {
            llc_occupancy: counter(&path.join("llc_occupancy"))?,
            mbm_total_bytes: counter(&path.join("mbm_total_bytes"))?,
            mbm_local_bytes: counter(&path.join("mbm_local_bytes"))?,
        })
    };
    paths.iter().map(domain).collect()
}

/// A count; the kernel writes a word where the hardware has none at the moment.
fn counter(path: &Path) -> Result<Option<u64>> {
    match text(path)?.as_deref() {
        None | Some("Unavailable" | "Error" | "Unassigned") => Ok(None),
        Some(_) => number(path),
    }
}

fn number(path: &Path) -> Result<Option<u64>> {
    let Some(found) = text(path)? else { return Ok(None) };
    match found.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Error::Malformed { path: path.into(), found, expected: "a number" }),
    }
}

/// What is in the file, if there is one.
fn text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

fn failed(call: &'static str, path: &Path, error: &std::io::Error) -> Error {
    Error::File { source: SyscallError::from_io(call, path.to_string_lossy(), error), status: None }
}
