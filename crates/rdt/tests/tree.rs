//! Groups in a tree of files as the kernel's.
//!
//! No emulated processor has Intel RDT, so this is no test of the kernel's side: new directories of a real
//! resctrl file system have files at once, here they are made when they are first written to.

use std::error::Error;
use std::fs;
use std::path::Path;

use coracle_rdt::{BandwidthInfo, CacheInfo, DomainStats, Resctrl};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn write(root: &Path, files: &[(&str, &str)]) -> Result {
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().ok_or("no parent")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// A machine with one cache.
fn machine(root: &Path) -> Result<Resctrl> {
    let files = [
        ("info/L3/cbm_mask", "fffff\n"),
        ("info/L3/min_cbm_bits", "1\n"),
        ("info/L3/num_closids", "16\n"),
        ("info/MB/bandwidth_gran", "10\n"),
        ("info/MB/delay_linear", "1\n"),
        ("info/MB/min_bandwidth", "10\n"),
        ("info/MB/num_closids", "8\n"),
        ("info/last_cmd_status", "ok\n"),
        ("schemata", "    MB:0=100\n    L3:0=fffff\n"),
        ("tasks", ""),
        ("mon_groups/.keep", ""),
    ];
    write(root, &files)?;
    Ok(Resctrl::at(root))
}

#[test]
fn a_group_is_made_limited_joined_and_removed() -> Result {
    let dir = tempfile::tempdir()?;
    let group = machine(dir.path())?.group("batch");
    assert!(!group.exists());
    group.create()?;
    group.create()?;
    group.set(&["L3:0=f", "MB:0=20"])?;
    group.expect(&["MB:0=20"])?;
    group.add(42)?;
    assert_eq!(fs::read_to_string(dir.path().join("batch/schemata"))?, "L3:0=f\nMB:0=20\n");
    assert_eq!(fs::read_to_string(dir.path().join("batch/tasks"))?, "42");
    for file in ["schemata", "tasks"] {
        fs::remove_file(group.path().join(file))?;
    }
    group.remove()?;
    group.remove()?;
    assert!(!group.exists());
    Ok(())
}

#[test]
fn shares_of_others_are_left_alone() -> Result {
    let dir = tempfile::tempdir()?;
    let root = machine(dir.path())?.group("/");
    root.expect(&["L3:0=fffff"])?;
    let error = root.expect(&["L3:0=ff"]).err().ok_or("the same?")?.to_string();
    assert!(error.contains("\"L3:0=fffff\" for \"L3:0=ff\""), "{error}");
    Ok(())
}

#[test]
fn what_is_used_is_counted() -> Result {
    let dir = tempfile::tempdir()?;
    let resctrl = machine(dir.path())?;
    let root = resctrl.group("/");
    let counted = root.monitoring("it");
    assert_eq!(counted.path(), dir.path().join("mon_groups/it"));
    let files = [
        ("mon_groups/it/mon_data/mon_L3_00/llc_occupancy", "65536\n"),
        ("mon_groups/it/mon_data/mon_L3_00/mbm_total_bytes", "1024\n"),
        ("mon_groups/it/mon_data/mon_L3_00/mbm_local_bytes", "Unavailable\n"),
    ];
    write(dir.path(), &files)?;
    let stats = root.stats(&counted)?;
    let cache = CacheInfo { cbm_mask: "fffff".into(), min_cbm_bits: 1, num_closids: 16 };
    assert_eq!(stats.cache, Some(cache));
    let bandwidth =
        BandwidthInfo { bandwidth_gran: 10, delay_linear: 1, min_bandwidth: 10, num_closids: 8 };
    assert_eq!(stats.bandwidth, Some(bandwidth));
    assert_eq!(stats.schemata, ["MB:0=100", "L3:0=fffff"]);
    let domain = DomainStats {
        llc_occupancy: Some(65_536),
        mbm_total_bytes: Some(1024),
        mbm_local_bytes: None,
    };
    assert_eq!(stats.domains, [domain]);
    Ok(())
}

#[test]
fn the_kernel_says_why() -> Result {
    let dir = tempfile::tempdir()?;
    let group = machine(dir.path())?.group("missing");
    write(dir.path(), &[("info/last_cmd_status", "Mask out of range\n")])?;
    let error = group.set(&["L3:0=0"]).err().ok_or("no group")?.to_string();
    assert!(error.contains("missing/schemata"), "{error}");
    assert!(error.ends_with("(Mask out of range)"), "{error}");
    Ok(())
}
