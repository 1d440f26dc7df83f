//! Plots as SVG within a page: no script, no font, no link.

use std::fmt::Write as _;

use crate::compare::Interval;

/// A row of a plot of intervals.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: Option<f64>,
    pub(super) interval: Option<Interval>,
    /// Whether it is to catch the eye.
    pub(super) worse: bool,
}

const WIDTH: f64 = 860.0;
const LABELS: f64 = 260.0;
const ROW: f64 = 24.0;

/// Differences with their intervals, with a line at no difference and one at the margin.
pub(super) fn intervals(bars: &[Bar], margin: f64) -> String {
    let ends = bars.iter().flat_map(|bar| {
        let interval = bar.interval.map(|interval| [interval.low, interval.high]);
        interval.into_iter().flatten().chain(bar.value)
    });
    let furthest = ends.map(f64::abs).fold(margin * 1.5, f64::max).max(1e-9);
    let x = |value: f64| LABELS + (WIDTH - LABELS) * (0.5 + value / (2.1 * furthest));
    let height = ROW * bars.len() as f64 + 28.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"differences with intervals\">");
    let bottom = height - 24.0;
    for (at, class, text) in [(0.0, "zero", "0".to_owned()), (-margin, "margin", format!("-{margin}"))] {
        write!(
            svg,
            "<line class=\"{class}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{bottom}\"/><text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{text}</text>",
            x(at),
            height - 8.0
        )
        .unwrap_or_default();
    }
    for (idx, bar) in bars.iter().enumerate() {
        let y = ROW * (idx as f64 + 0.5);
        let class = if bar.worse { " class=\"worse\"" } else { "" };
        write!(
            svg,
            "<g{class}><text x=\"{0}\" y=\"{1:.1}\" text-anchor=\"end\">{2}</text>",
            LABELS - 12.0,
            y + 4.0,
            super::html::escaped(&bar.label)
        )
        .unwrap_or_default();
        if let Some(interval) = bar.interval {
            write!(
                svg,
                "<line class=\"bar\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                x(interval.low),
                x(interval.high)
            )
            .unwrap_or_default();
        }
        if let Some(value) = bar.value {
            write!(svg, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>", x(value)).unwrap_or_default();
        }
        svg += "</g>";
    }
    svg + "</svg>"
}
