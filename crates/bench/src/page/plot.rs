//! A plot of a few curves, as SVG.

use std::fmt::Write as _;

use super::escaped;
use crate::result::short;

/// The most curves of one plot.
pub(super) const MOST: usize = 8;

const COLOURS: [&str; MOST] = ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#cf222e", "#9a6700", "#bf3989", "#57606a"];

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 230.0;

/// One line.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// What one side of a plot is of.
pub(super) struct Axis {
    name: String,
    is_log: bool,
}

impl Axis {
    pub(super) fn linear(name: &str) -> Axis {
        Axis { name: name.to_owned(), is_log: false }
    }

    pub(super) fn log(name: &str) -> Axis {
        Axis { name: name.to_owned(), is_log: true }
    }

    fn scaled(&self, value: f64) -> f64 {
        if self.is_log { value.max(1e-3).log10() } else { value }
    }

    /// Round values between two scaled ends.
    fn marks(&self, (low, high): (f64, f64)) -> Vec<f64> {
        if self.is_log {
            let decades = (-3..=7).flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10_f64.powi(power)));
            return decades.filter(|mark| (low..=high).contains(&self.scaled(*mark))).collect();
        }
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * 10_f64.powf(((high - low) / 8.0).max(1e-9).log10().floor()));
        let step = step.into_iter().find(|step| (high - low) / step <= 8.0).unwrap_or(high - low);
        (0..=40)
            .map(|n| (low / step).ceil() * step + f64::from(n) * step)
            .take_while(|mark| *mark <= high + 1e-9)
            .collect()
    }
}

/// The plot; nothing where no curve has a point. `limit` is a line across.
pub(super) fn plot(curves: &[Curve], (x_axis, y_axis): (Axis, Axis), limit: Option<f64>) -> String {
    let curves: Vec<&Curve> = curves.iter().filter(|curve| !curve.points.is_empty()).take(MOST).collect();
    let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    if points().next().is_none() {
        return String::new();
    }
    let xs = ends(points().map(|(x, _)| x_axis.scaled(x)).chain((!x_axis.is_log).then_some(0.0)));
    let ys = ends(points().map(|(_, y)| y_axis.scaled(y)).chain(limit.map(|limit| y_axis.scaled(limit))));
    let x = |value: f64| LEFT + (x_axis.scaled(value) - xs.0) / (xs.1 - xs.0) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - (y_axis.scaled(value) - ys.0) / (ys.1 - ys.0) * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">");
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    // Writing to a String cannot fail.
    let mut draw = || -> std::fmt::Result {
        write!(svg, "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>")?;
        write!(svg, "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{TOP}\" x2=\"{LEFT}\" y2=\"{bottom}\"/>")?;
        for mark in x_axis.marks(xs) {
            write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(mark),
                bottom + 16.0,
                short(mark)
            )?;
        }
        for mark in y_axis.marks(ys) {
            write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y(mark) + 4.0,
                short(mark)
            )?;
        }
        write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 8.0,
            escaped(&x_axis.name)
        )?;
        let middle = f64::midpoint(TOP, bottom);
        write!(
            svg,
            "<text x=\"14\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle:.1})\">{}</text>",
            escaped(&y_axis.name)
        )?;
        if let Some(limit) = limit {
            write!(svg, "<line class=\"limit\" x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{right}\" y2=\"{0:.1}\"/>", y(limit))?;
            write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">allowed</text>",
                right - 4.0,
                y(limit) - 4.0
            )?;
        }
        for (place, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
            let line: Vec<String> =
                curve.points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
            write!(svg, "<polyline points=\"{}\" stroke=\"{colour}\"/>", line.join(" "))?;
            if curve.points.len() <= 12 {
                for (px, py) in &curve.points {
                    write!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(*px), y(*py))?;
                }
            }
            let at = TOP + 14.0 + place as f64 * 18.0;
            let name: String = curve.name.chars().take(34).collect();
            write!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>",
                right + 10.0,
                at - 9.0
            )?;
            write!(svg, "<text x=\"{:.1}\" y=\"{at:.1}\">{}</text>", right + 26.0, escaped(&name))?;
        }
        Ok(())
    };
    draw().unwrap_or_default();
    svg + "</svg>"
}

/// The least and the greatest, a little apart.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = ((high - low) * 0.05).max(1e-3 * high.abs().max(1e-3));
    (if low == 0.0 { 0.0 } else { low - room }, high + room)
}
