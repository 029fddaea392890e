//! The table of `coracle stats`.

use coracle::Sample;

/// The cells of a line.
pub type Row = [String; 8];

const HEADING: [&str; 8] = ["ID", "CPU%", "MEM", "LIMIT", "MEM%", "PIDS", "READ", "WRITTEN"];
/// The narrowest that columns get, so that they seldom move.
const WIDTHS: [usize; 8] = [12, 6, 9, 9, 6, 5, 9, 9];
/// What is not known.
const UNKNOWN: &str = "-";

/// What a container uses, and how many processors since it was looked at `before`.
pub fn row(id: &str, sample: &Sample, before: Option<&Sample>) -> Row {
    let stats = &sample.stats;
    let processors = before.and_then(|before| sample.processors_since(before));
    let memory = stats.memory.as_ref().map(|memory| (memory.working_set(), memory.usage.limit));
    let share = memory.and_then(|(used, limit)| Some(used as f64 / limit? as f64));
    let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), size);
    let moved = stats.block_io.as_ref().map(|io| {
        let devices = io.devices.iter().map(|device| (device.bytes.read, device.bytes.write));
        devices.fold((0, 0), |(read, write), it| (read + it.0, write + it.1))
    });
    [
        Some(id.to_owned()),
        processors.map(percent),
        memory.map(|(used, _)| size(used)),
        memory.map(|(_, most)| limit(most)),
        share.map(percent),
        stats.pids.map(|pids| pids.current.to_string()),
        moved.map(|(read, _)| size(read)),
        moved.map(|(_, written)| size(written)),
    ]
    .map(|cell| cell.unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// A container of which nothing is known.
pub fn unknown(id: &str) -> Row {
    let mut row = [UNKNOWN; 8].map(str::to_owned);
    id.clone_into(&mut row[0]);
    row
}

/// The heading and a line for each row.
pub fn lines(rows: &[Row]) -> Vec<String> {
    let heading = HEADING.map(str::to_owned);
    let all: Vec<_> = std::iter::once(&heading).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<_> = (0..8).map(|column| width(column).max(WIDTHS[column])).collect();
    let line = |row: &Row| {
        let numbers = row.iter().zip(&widths).skip(1);
        let numbers: String = numbers.map(|(cell, width)| format!("  {cell:>width$}")).collect();
        format!("{:<width$}{numbers}", row[0], width = widths[0])
    };
    all.into_iter().map(line).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    for unit in &mut units {
        if size < 1000.0 {
            // Of bytes there are no fractions.
            return if unit == "B" { format!("{size}{unit}") } else { format!("{size:.1}{unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1}TiB")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use coracle::Stats;

    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1024, "1.0KiB"),
            (1_048_576, "1.0MiB"),
            (1_572_864, "1.5MiB"),
            (3 << 30, "3.0GiB"),
            (5 << 40, "5.0TiB"),
            (u64::MAX, "16777216.0TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn what_is_not_accounted_for_has_a_dash() {
        let before = Sample { at: Instant::now(), stats: Stats::default() };
        let after = Sample { at: before.at + Duration::from_secs(1), stats: Stats::default() };
        let row = row("web", &after, Some(&before));
        assert_eq!(row, unknown("web"));
    }

    #[test]
    fn columns_are_aligned() {
        let mut row = unknown("a-name-longer-than-the-column");
        "1.5GiB".clone_into(&mut row[2]);
        let lines = lines(&[row]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), lines[1].len());
        assert!(lines[0].ends_with("READ    WRITTEN"), "{lines:?}");
        assert_eq!(lines[0].find("MEM").unwrap() + 3, lines[1].find("GiB").unwrap() + 3);
    }
}
