//! `blkio` of v1; see blkio-controller.rst.

use crate::Result;
use crate::convert::check_weight;
use crate::dir::Dir;
use crate::resources::BlockIo;
use crate::set::Skips;

pub(crate) fn set(dir: &Dir, io: &BlockIo, _: &mut Skips) -> Result<()> {
    if let Some(weight) = check_weight(io.weight)? {
        write_weight(dir, "weight", &weight.to_string())?;
    }
    if let Some(weight) = check_weight(io.leaf_weight)? {
        dir.write("blkio.leaf_weight", &weight.to_string())?;
    }
    for device in &io.weight_device {
        let number = format!("{}:{}", device.major, device.minor);
        if let Some(weight) = check_weight(device.weight)? {
            write_weight(dir, "weight_device", &format!("{number} {weight}"))?;
        }
        if let Some(weight) = check_weight(device.leaf_weight)? {
            dir.write("blkio.leaf_weight_device", &format!("{number} {weight}"))?;
        }
    }
    let throttles = [
        ("blkio.throttle.read_bps_device", &io.throttle_read_bps),
        ("blkio.throttle.write_bps_device", &io.throttle_write_bps),
        ("blkio.throttle.read_iops_device", &io.throttle_read_iops),
        ("blkio.throttle.write_iops_device", &io.throttle_write_iops),
    ];
    for (file, devices) in throttles {
        for device in devices {
            dir.write(file, &format!("{}:{} {}", device.major, device.minor, device.rate))?;
        }
    }
    Ok(())
}

/// A weight goes to the scheduler that has them: CFQ before Linux 5.0, BFQ since.
fn write_weight(dir: &Dir, name: &str, value: &str) -> Result<()> {
    match dir.write(&format!("blkio.{name}"), value) {
        Err(error) if error.is_missing() => dir.write(&format!("blkio.bfq.{name}"), value),
        result => result,
    }
}
