//! `io` of v2.

use crate::Result;
use crate::convert::{check_weight, io_weight};
use crate::dir::Dir;
use crate::resources::BlockIo;
use crate::set::Skips;

const BFQ: &str = "io.bfq.weight";

pub(crate) fn set(dir: &Dir, io: &BlockIo, skips: &mut Skips) -> Result<()> {
    if let Some(weight) = check_weight(io.weight)? {
        write_weight(dir, "default", weight)?;
    }
    for device in &io.weight_device {
        if let Some(weight) = check_weight(device.weight)? {
            write_weight(dir, &format!("{}:{}", device.major, device.minor), weight)?;
        }
    }
    let throttles = [
        ("rbps", &io.throttle_read_bps),
        ("wbps", &io.throttle_write_bps),
        ("riops", &io.throttle_read_iops),
        ("wiops", &io.throttle_write_iops),
    ];
    for (key, devices) in throttles {
        for device in devices {
            let rate = if device.rate == 0 { "max".into() } else { device.rate.to_string() };
            dir.write("io.max", &format!("{}:{} {key}={rate}", device.major, device.minor))?;
        }
    }
    let leaf = io.leaf_weight.is_some() || io.weight_device.iter().any(|d| d.leaf_weight.is_some());
    if leaf {
        skips.unsupported("io", "leaf weight");
    }
    Ok(())
}

/// BFQ counts weights as v1 does; the other schedulers have ten times as many.
fn write_weight(dir: &Dir, whose: &str, weight: u16) -> Result<()> {
    match dir.write(BFQ, &format!("{whose} {weight}")) {
        Err(error) if error.is_missing() => {
            dir.write("io.weight", &format!("{whose} {}", io_weight(weight)))
        }
        result => result,
    }
}
