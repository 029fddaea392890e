//! Block devices.

use coracle_cgroup::{BlockIoStats, DeviceIo, IoCounts, QueueIo};
use serde::Serialize;

use super::{Psi, is_zero};

/// Each list is left out if it is empty.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_queue_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_time_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_wait_time_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_merged_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_time_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sectors_recursive: Vec<IoEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Serialize)]
struct IoEntry {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    op: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

impl Blkio {
    pub(super) fn new(io: &BlockIoStats) -> Self {
        let counts = |counts: fn(&DeviceIo) -> Option<&IoCounts>| {
            let counted = io.devices.iter().filter_map(|device| Some((device, counts(device)?)));
            counted.flat_map(|(device, counts)| IoEntry::of_counts(device, counts)).collect()
        };
        let values = |value: fn(&QueueIo) -> u64| {
            let counted = io.devices.iter().filter_map(|device| Some((device, device.queue?)));
            counted.map(|(device, queue)| IoEntry::new(device, "", value(&queue))).collect()
        };
        Self {
            io_service_bytes_recursive: counts(|device| Some(&device.bytes)),
            io_serviced_recursive: counts(|device| Some(&device.operations)),
            io_queue_recursive: counts(|device| Some(&device.queue.as_ref()?.queued)),
            io_service_time_recursive: counts(|device| Some(&device.queue.as_ref()?.service_time)),
            io_wait_time_recursive: counts(|device| Some(&device.queue.as_ref()?.wait_time)),
            io_merged_recursive: counts(|device| Some(&device.queue.as_ref()?.merged)),
            io_time_recursive: values(|queue| queue.time),
            sectors_recursive: values(|queue| queue.sectors),
            psi: io.pressure.as_ref().map(Psi::new),
        }
    }
}

impl IoEntry {
    fn new(device: &DeviceIo, op: &'static str, value: u64) -> Self {
        Self { major: device.major.into(), minor: device.minor.into(), op, value }
    }

    /// As the files of v1 have them; of v2 runc tells the first two.
    fn of_counts(device: &DeviceIo, counts: &IoCounts) -> Vec<Self> {
        let mut all = vec![("Read", counts.read), ("Write", counts.write)];
        if let (Some(sync), Some(asynchronous)) = (counts.sync, counts.asynchronous) {
            all.extend([("Sync", sync), ("Async", asynchronous)]);
            all.extend([("Discard", counts.discard), ("Total", counts.total())]);
        }
        all.into_iter().map(|(op, value)| Self::new(device, op, value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(device: DeviceIo) -> String {
        let mut stats = BlockIoStats::default();
        stats.devices = vec![device];
        serde_json::to_string(&Blkio::new(&stats)).unwrap()
    }

    #[test]
    fn counts_are_listed_by_operation() {
        let mut device = DeviceIo::default();
        device.major = 254;
        (device.bytes.read, device.bytes.discard) = (4096, 512);
        let serviced =
            r#""ioServicedRecursive":[{"major":254,"op":"Read"},{"major":254,"op":"Write"}]"#;
        assert_eq!(
            json(device.clone()),
            format!(
                r#"{{"ioServiceBytesRecursive":[{{"major":254,"op":"Read","value":4096}},{{"major":254,"op":"Write"}}],{serviced}}}"#
            )
        );
        (device.bytes.sync, device.bytes.asynchronous) = (Some(4608), Some(0));
        let mut queue = QueueIo::default();
        (queue.sectors, queue.queued.read) = (9, 1);
        device.queue = Some(queue);
        let text = json(device);
        assert!(text.contains(r#"{"major":254,"op":"Total","value":4608}]"#), "{text}");
        assert!(text.contains(r#""sectorsRecursive":[{"major":254,"value":9}]"#), "{text}");
        assert!(
            text.contains(r#""ioQueueRecursive":[{"major":254,"op":"Read","value":1},"#),
            "{text}"
        );
    }
}
