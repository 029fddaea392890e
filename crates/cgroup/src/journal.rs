//! What was in files before they were written.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The old values of files that are being written, in the order of the writes.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Option<Vec<(String, String)>>>);

impl Journal {
    pub(crate) fn begin(&self) {
        *self.entries() = Some(Vec::new());
    }

    /// Is it kept at the moment?
    pub(crate) fn is_open(&self) -> bool {
        self.entries().is_some()
    }

    /// Notes that `file`, which holds `old`, is about to be written.
    pub(crate) fn note(&self, file: &str, old: &str, new: &str) {
        if let Some(entries) = &mut *self.entries() {
            entries.push((file.to_owned(), way_back(file, old, new)));
        }
    }

    /// What to write to which file, in the order of the writes that it would undo.
    pub(crate) fn end(&self) -> Vec<(String, String)> {
        self.entries().take().unwrap_or_default()
    }

    fn entries(&self) -> MutexGuard<'_, Option<Vec<(String, String)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What brings `file` back to `old` after `new` was written to it. Files with a line for each device take
/// one line at a time, and do not show devices without a limit.
fn way_back(file: &str, old: &str, new: &str) -> String {
    let key = new.split_whitespace().next().unwrap_or_default();
    let is_keyed = file.starts_with("blkio.throttle.")
        || file.ends_with("weight_device")
        || matches!(
            file,
            "io.max" | "io.weight" | "io.bfq.weight" | "rdma.max" | "net_prio.ifpriomap"
        );
    if !is_keyed {
        let old = old.trim_end();
        // Nothing at all would not be a write.
        return if old.is_empty() { "\n".into() } else { old.into() };
    }
    let line = old.lines().find(|line| line.split_whitespace().next() == Some(key));
    match (line, file) {
        (Some(line), _) => line.to_owned(),
        (None, "io.max") => format!("{key} rbps=max wbps=max riops=max wiops=max"),
        (None, "io.weight" | "io.bfq.weight") => format!("{key} default"),
        (None, "rdma.max") => format!("{key} hca_handle=max hca_object=max"),
        (None, _) => format!("{key} 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_has_a_way_back() {
        let cases = [
            ("memory.max", "max\n", "4096", "max"),
            ("cpuset.cpus", "\n", "0", "\n"),
            ("cpu.max", "max 100000\n", "5000 10000", "max 100000"),
            ("io.max", "", "8:0 rbps=1", "8:0 rbps=max wbps=max riops=max wiops=max"),
            (
                "io.max",
                "8:0 rbps=5 wbps=max riops=max wiops=max\n",
                "8:0 rbps=1",
                "8:0 rbps=5 wbps=max riops=max wiops=max",
            ),
            ("io.weight", "default 100\n8:0 50\n", "default 7", "default 100"),
            ("io.weight", "default 100\n", "8:0 50", "8:0 default"),
            ("blkio.throttle.read_bps_device", "8:16 3\n", "8:0 9", "8:0 0"),
        ];
        for (file, old, new, expected) in cases {
            assert_eq!(way_back(file, old, new), expected, "{file} {new}");
        }
    }
}
