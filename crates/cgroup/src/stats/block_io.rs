//! Block devices: `blkio` of v1, `io` of v2.

use std::collections::BTreeMap;

use super::files::{lines, text};
use super::pressure::{self, Pressure};
use crate::dir::Dir;
use crate::{Cgroup, Result};

/// What was read from and written to block devices.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct BlockIoStats {
    /// For each device that was used, in the order of their numbers.
    ///
    /// v1 counts written data only if it did not go through the page cache.
    pub devices: Vec<DeviceIo>,
    /// How long it was waited for devices.
    pub pressure: Option<Pressure>,
}

/// What was read from and written to one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DeviceIo {
    /// The major number of the device.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Bytes moved.
    pub bytes: IoCounts,
    /// Operations done.
    pub operations: IoCounts,
    /// What the scheduler BFQ of v1 counts, on kernels built with `CONFIG_BFQ_CGROUP_DEBUG`.
    pub queue: Option<QueueIo>,
    /// What v2 counts beside, as `cost.usage`: by the key that `io.stat` has for it.
    pub other: BTreeMap<String, u64>,
}

/// Counts by sort of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IoCounts {
    /// Reading.
    pub read: u64,
    /// Writing.
    pub write: u64,
    /// Telling the device that data is not needed any more.
    pub discard: u64,
    /// Of all these, what somebody waits for. Only v1 tells it.
    pub sync: Option<u64>,
    /// Of all these, what nobody waits for. Only v1 tells it.
    pub asynchronous: Option<u64>,
}

/// What a scheduler that queues operations counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueIo {
    /// Sectors moved.
    pub sectors: u64,
    /// Time that the device was reserved, in milliseconds.
    pub time: u64,
    /// Time between passing operations on and their end, in nanoseconds.
    pub service_time: IoCounts,
    /// Time that operations waited in the queues, in nanoseconds.
    pub wait_time: IoCounts,
    /// Operations that were merged into others.
    pub merged: IoCounts,
    /// Operations in the queues now.
    pub queued: IoCounts,
}

impl IoCounts {
    /// Of all sorts.
    pub fn total(&self) -> u64 {
        self.read.saturating_add(self.write).saturating_add(self.discard)
    }

    fn set(&mut self, operation: &str, count: u64) {
        match operation {
            "Read" => self.read = count,
            "Write" => self.write = count,
            "Discard" => self.discard = count,
            "Sync" => self.sync = Some(count),
            "Async" => self.asynchronous = Some(count),
            // The total, and whatever later kernels count.
            _ => {}
        }
    }
}

pub(super) fn read(cgroup: &Cgroup) -> Result<Option<BlockIoStats>> {
    let devices = match (cgroup.v1("blkio"), &cgroup.unified) {
        (Some(dir), _) => v1(dir)?,
        (None, Some(dir)) => text(dir, "io.stat")?.map(|text| v2(&text)),
        (None, None) => None,
    };
    let Some(devices) = devices else { return Ok(None) };
    let devices = devices.into_values().collect();
    Ok(Some(BlockIoStats { devices, pressure: pressure::read(cgroup, "io.pressure")? }))
}

/// Devices in the order of their numbers.
type Devices = BTreeMap<(u32, u32), DeviceIo>;

fn device<'a>(devices: &'a mut Devices, numbers: &str) -> Option<&'a mut DeviceIo> {
    let (major, minor) = numbers.split_once(':')?;
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    let new = || DeviceIo { major, minor, ..DeviceIo::default() };
    Some(devices.entry((major, minor)).or_insert_with(new))
}

/// Lines as `254:0 rbytes=8192 wbytes=0 rios=2 wios=0 dbytes=0 dios=0`.
fn v2(text: &str) -> Devices {
    let mut devices = Devices::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some(device) = words.next().and_then(|word| device(&mut devices, word)) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            match key {
                "rbytes" => device.bytes.read = value,
                "wbytes" => device.bytes.write = value,
                "dbytes" => device.bytes.discard = value,
                "rios" => device.operations.read = value,
                "wios" => device.operations.write = value,
                "dios" => device.operations.discard = value,
                _ => drop(device.other.insert(key.to_owned(), value)),
            }
        }
    }
    devices
}

/// What the lines of a file are about.
type Field<T> = fn(&mut DeviceIo) -> &mut T;

fn v1(dir: &Dir) -> Result<Option<Devices>> {
    // Each of these counts only what went its way: as in runc, the first one that has anything is right.
    let mut found = None;
    for source in ["blkio.bfq", "blkio.throttle"] {
        let Some(bytes) = text(dir, &format!("{source}.io_service_bytes_recursive"))? else {
            continue;
        };
        let operations = text(dir, &format!("{source}.io_serviced_recursive"))?;
        let devices = found.insert(Devices::new());
        add_counts(devices, &bytes, |device| &mut device.bytes);
        add_counts(devices, &operations.unwrap_or_default(), |device| &mut device.operations);
        if !devices.is_empty() {
            break;
        }
    }
    if let Some(devices) = &mut found {
        add_queue(dir, devices)?;
    }
    Ok(found)
}

/// Adds what BFQ counts about its queues, if it does.
fn add_queue(dir: &Dir, devices: &mut Devices) -> Result<()> {
    let Some(sectors) = text(dir, "blkio.bfq.sectors_recursive")? else { return Ok(()) };
    let times = text(dir, "blkio.bfq.time_recursive")?.unwrap_or_default();
    add_values(devices, &sectors, |device| &mut queue(device).sectors);
    add_values(devices, &times, |device| &mut queue(device).time);
    let counts: [(_, Field<IoCounts>); 4] = [
        ("io_service_time", |device| &mut queue(device).service_time),
        ("io_wait_time", |device| &mut queue(device).wait_time),
        ("io_merged", |device| &mut queue(device).merged),
        ("io_queued", |device| &mut queue(device).queued),
    ];
    for (file, field) in counts {
        let text = text(dir, &format!("blkio.bfq.{file}_recursive"))?.unwrap_or_default();
        add_counts(devices, &text, field);
    }
    Ok(())
}

fn queue(device: &mut DeviceIo) -> &mut QueueIo {
    device.queue.get_or_insert_default()
}

/// Adds lines as `254:0 Read 4096`, but for the total `Total 4096` of all devices.
fn add_counts(devices: &mut Devices, text: &str, field: Field<IoCounts>) {
    for line in text.lines() {
        let mut words = line.split(' ');
        let [numbers, operation, count] = [(); 3].map(|()| words.next().unwrap_or_default());
        let Ok(count) = count.parse() else { continue };
        if let Some(device) = device(devices, numbers) {
            field(device).set(operation, count);
        }
    }
}

/// Adds lines as `254:0 4096`.
fn add_values(devices: &mut Devices, text: &str, field: Field<u64>) {
    for (numbers, value) in lines(text) {
        if let Some(device) = device(devices, numbers) {
            *field(device) = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::test::cgroup;
    use super::*;

    const NOTHING: &str = "Total 0\n";
    const BYTES: &str = "254:0 Read 8597504\n254:0 Write 16785408\n254:0 Sync 33771520\n\
                         254:0 Async 0\n254:0 Discard 8388608\n254:0 New 1\n\
                         254:0 Total 33771520\n7:1 Read 4096\nTotal 33775616\n";
    const OPERATIONS: &str = "254:0 Read 47\n254:0 Write 13\n254:0 Total 60\nTotal 60\n";

    #[test]
    fn reads_version_1_without_a_scheduler_that_counts() {
        let (_temp, cgroup) = cgroup(&[
            ("blkio/blkio.bfq.io_service_bytes_recursive", NOTHING),
            ("blkio/blkio.bfq.io_serviced_recursive", NOTHING),
            ("blkio/blkio.throttle.io_service_bytes_recursive", BYTES),
            ("blkio/blkio.throttle.io_serviced_recursive", OPERATIONS),
            ("io.stat", "1:1 rbytes=1\n"),
            ("io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=3\n"),
        ]);
        let stats = read(&cgroup).unwrap().unwrap();
        let [other, disk] = stats.devices.try_into().unwrap();
        assert_eq!((other.major, other.minor, other.bytes.read), (7, 1, 4096));
        let bytes = IoCounts {
            read: 8_597_504,
            write: 16_785_408,
            discard: 8_388_608,
            sync: Some(33_771_520),
            asynchronous: Some(0),
        };
        assert_eq!((disk.major, disk.minor, disk.bytes), (254, 0, bytes));
        assert_eq!(disk.bytes.total(), 33_771_520);
        assert_eq!((disk.operations.read, disk.operations.total(), disk.queue), (47, 60, None));
        assert_eq!(stats.pressure.unwrap().some.total.as_micros(), 3);
    }

    #[test]
    fn reads_what_bfq_counts() {
        let (_temp, cgroup) = cgroup(&[
            ("blkio/blkio.bfq.io_service_bytes_recursive", BYTES),
            ("blkio/blkio.bfq.io_serviced_recursive", OPERATIONS),
            ("blkio/blkio.bfq.sectors_recursive", "254:0 1024\nTotal 1024\n"),
            ("blkio/blkio.bfq.time_recursive", "254:0 12\n"),
            ("blkio/blkio.bfq.io_wait_time_recursive", "254:0 Write 99\n254:0 Total 99\n"),
            ("blkio/blkio.bfq.io_queued_recursive", "254:0 Read 2\n"),
            ("blkio/blkio.throttle.io_service_bytes_recursive", "254:0 Read 1\n"),
        ]);
        let stats = read(&cgroup).unwrap().unwrap();
        let disk = &stats.devices[1];
        assert_eq!(disk.bytes.read, 8_597_504);
        let queue = disk.queue.unwrap();
        assert_eq!((queue.sectors, queue.time), (1024, 12));
        assert_eq!((queue.wait_time.write, queue.queued.read), (99, 2));
        assert_eq!(queue.merged, IoCounts::default());
        assert_eq!(stats.devices[0].queue, None);
    }

    #[test]
    fn reads_version_2() {
        let text = "254:0 rbytes=8192 wbytes=4096 rios=2 wios=1 dbytes=512 dios=3 \
                    cost.usage=70 cost.new=x\n7:0 \nnonsense\n";
        let (_temp, cgroup) = cgroup(&[("io.stat", text)]);
        let stats = read(&cgroup).unwrap().unwrap();
        let [idle, disk] = stats.devices.try_into().unwrap();
        assert_eq!(idle, DeviceIo { major: 7, ..DeviceIo::default() });
        let bytes = IoCounts { read: 8192, write: 4096, discard: 512, ..IoCounts::default() };
        assert_eq!(disk.bytes, bytes);
        assert_eq!(disk.operations.total(), 6);
        assert_eq!(disk.other, [("cost.usage".to_owned(), 70)].into());
    }

    #[test]
    fn nothing_moved_is_not_the_same_as_nothing_counted() {
        let (_temp, idle) = cgroup(&[("io.stat", "")]);
        assert_eq!(read(&idle).unwrap(), Some(BlockIoStats::default()));
        let (_temp, without) = cgroup(&[("cpu.stat", ""), ("io.pressure", "")]);
        assert_eq!(read(&without).unwrap(), None);
    }
}
