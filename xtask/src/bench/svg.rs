//! The times as horizontal bars, with whiskers from the 10th to the 90th percentile.

use std::fmt::Write;

use super::samples::{Measure, Samples, Summary, Variant};
use super::view::View;

const MEASURES: [Measure; 5] =
    [Measure::Run, Measure::Exec, Measure::Create, Measure::Start, Measure::Delete];

/// In pixels.
const WIDTH: f64 = 860.0;
const LEFT: f64 = 90.0;
const SCALE_WIDTH: f64 = WIDTH - LEFT - 90.0;
const BAR: f64 = 14.0;
const TITLE: f64 = 30.0;

const STYLE: &str = "text{font:12px sans-serif;fill:#24292f}.title{font-weight:bold}\
    .bar{fill:#9aa5b1}.coracle{fill:#1f6feb}.floor{fill:#d0d7de}\
    .whisker{stroke:#24292f;stroke-width:1;fill:none}";

/// A bar of the plot.
struct Bar<'a> {
    program: &'a str,
    summary: Summary,
}

pub fn render(views: &[(View, Samples)]) -> Result<String, std::fmt::Error> {
    let mut body = String::new();
    let mut y = 10.0;
    if let Some((_, samples)) = views.first() {
        for variant in Variant::ALL {
            for measure in MEASURES {
                y = group(&mut body, samples, (variant, measure), y)?;
            }
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" \
         height=\"{y}\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    ))
}

/// Draws the bars of one measure, and returns where the next begins.
fn group(
    body: &mut String,
    samples: &Samples,
    (variant, measure): (Variant, Measure),
    top: f64,
) -> Result<f64, std::fmt::Error> {
    let programs = samples.programs();
    let bars = programs.iter().filter_map(|program| {
        let summary = samples.summary(variant, measure, program)?;
        Some(Bar { program, summary })
    });
    let bars: Vec<_> = bars.collect();
    let longest = bars.iter().map(|bar| bar.summary.p90).fold(1.0, f64::max);
    let title = format!("{}, {}", measure.name().replace('`', ""), variant.name());
    let mut y = top + TITLE - 10.0;
    writeln!(body, "<text class=\"title\" x=\"8\" y=\"{y}\">{title}</text>")?;
    y += 8.0;
    for bar in &bars {
        bar.draw(body, y, SCALE_WIDTH / longest)?;
        y += BAR + 4.0;
    }
    Ok(y + 6.0)
}

impl Bar<'_> {
    fn draw(&self, body: &mut String, y: f64, scale: f64) -> std::fmt::Result {
        let Summary { p10, median, p90 } = self.summary;
        let (middle, baseline) = (y + BAR / 2.0, y + BAR - 3.0);
        let [low, end, high] = [p10, median, p90].map(|value| LEFT + value * scale);
        let (width, program) = (median * scale, self.program);
        writeln!(body, "<text x=\"8\" y=\"{baseline:.1}\">{program}</text>")?;
        writeln!(
            body,
            "<rect class=\"bar {program}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{BAR}\"/>"
        )?;
        let (up, down) = (middle - 3.0, middle + 3.0);
        writeln!(
            body,
            "<path class=\"whisker\" d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {up:.1}V{down:.1}\
             M{high:.1} {up:.1}V{down:.1}\"/>"
        )?;
        let x = high.max(end) + 6.0;
        writeln!(body, "<text x=\"{x:.1}\" y=\"{baseline:.1}\">{:.2} ms</text>", median / 1e3)
    }
}
