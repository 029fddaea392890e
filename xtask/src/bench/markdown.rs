//! The report as Markdown.

use std::fmt::Write;

use super::options::Options;
use super::samples::{Measure, Samples, Summary, Variant};
use super::view::View;

const ABOUT: &str = "\
Medians, in brackets the range from the 10th to the 90th percentile, and as a multiple of coracle's median.
The programs take turns in every round, so that whatever else the machine does meets all alike. Times are
from the start of the command to its end.

*floor* is a program that does only what no runtime can leave out: the same namespaces and mounts, the
exchange of the root, the execution of the command and the wait for its end; see `benches/floor.rs`. It has
no cgroup, no limits, no devices, no masked paths, no capabilities to drop, no checks and no record.

What the seccomp profile adds is the median of differences: of pairs of a `run` with it and one without, eight
in every round. The range says how much two runs differ.
";

const EMULATED: &str = "\
Measured in the emulated machine of `cargo xtask guest`: only the ratios say something, and those of
programs that compute much are worse than on real processors.
";

const HYBRID: &str = "\
The host has cgroup v1 beside v2, with controllers in both, which crun refuses. All programs are measured in
a mount namespace without the v2 mount; at the end coracle once more, with it.
";

pub fn render(
    name: &str,
    options: &Options,
    views: &[(View, Samples)],
) -> Result<String, std::fmt::Error> {
    let guest = name.ends_with("v2");
    let mut text = format!("# Benchmarks{}\n\n", if guest { " with cgroup v2" } else { "" });
    if guest {
        writeln!(text, "{EMULATED}")?;
    }
    writeln!(text, "{ABOUT}\n![the times as bars]({name}.svg)\n")?;
    if views.len() > 1 {
        writeln!(text, "{HYBRID}")?;
    }
    for (view, samples) in views {
        if *view == View::Whole && views.len() > 1 {
            writeln!(text, "## With v1 and v2 mounted\n")?;
        }
        for variant in Variant::ALL {
            table(&mut text, samples, variant)?;
        }
    }
    let flag = if guest { " --guest" } else { "" };
    let rounds = options.rounds;
    writeln!(
        text,
        "## Repeating it\n\n```console\n$ cargo xtask bench{flag} --rounds {rounds}\n```\n"
    )?;
    let Some((_, samples)) = views.first() else { return Ok(text) };
    for (name, value) in &samples.facts {
        writeln!(text, "- {name}: {value}")?;
    }
    Ok(text)
}

fn table(text: &mut String, samples: &Samples, variant: Variant) -> std::fmt::Result {
    let programs = samples.programs();
    writeln!(text, "### Containers {}\n\n| | {} |", variant.name(), programs.join(" | "))?;
    writeln!(text, "|---|{}", "---|".repeat(programs.len()))?;
    for measure in Measure::ALL {
        if measure.is_of_the_program() && variant != Variant::Plain {
            continue;
        }
        let summary = |program: &&str| samples.summary(variant, measure, program);
        let own = summary(&"coracle");
        if own.is_none() {
            continue;
        }
        let cells = programs.iter().map(|program| cell(measure, summary(program), own));
        writeln!(text, "| {} | {} |", measure.name(), cells.collect::<Vec<_>>().join(" | "))?;
    }
    writeln!(text)
}

fn cell(measure: Measure, summary: Option<Summary>, own: Option<Summary>) -> String {
    let (Some(summary), Some(own)) = (summary, own) else { return String::new() };
    let Summary { p10, median, p90 } = summary;
    let value = if measure.is_time() {
        format!("{:.2} ms ({:.2}–{:.2})", median / 1e3, p10 / 1e3, p90 / 1e3)
    } else {
        format!("{:.1} MiB", median / 1024.0)
    };
    format!("{value} **×{:.2}**", median / own.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_with_coracle() {
        let summary = |median| Summary { p10: median - 500.0, median, p90: median + 500.0 };
        let text = cell(Measure::Run, Some(summary(3000.0)), Some(summary(2000.0)));
        assert_eq!(text, "3.00 ms (2.50–3.50) **×1.50**");
        let text = cell(Measure::Size, Some(summary(2048.0)), Some(summary(1024.0)));
        assert_eq!(text, "2.0 MiB **×2.00**");
        assert_eq!(cell(Measure::Create, None, Some(summary(1.0))), "");
    }
}
