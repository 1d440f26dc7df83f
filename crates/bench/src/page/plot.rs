//! A plot of a few curves, as SVG.

use std::fmt::Write as _;

use super::escaped;
use crate::result::short;

/// The most curves of one plot.
pub(super) const MOST: usize = 16;

const COLOURS: [&str; 8] = ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#cf222e", "#9a6700", "#bf3989", "#6e7781"];

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 290.0;
/// Between two lines of the legend.
const LINE: f64 = 18.0;
/// Letters of a curve's name at most.
const LETTERS: usize = 42;

/// One line.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Curves of one colour belong together.
    pub(super) colour: usize,
    /// Dashed, beside one of the same colour that is not.
    pub(super) is_dashed: bool,
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

    /// Round values between two scaled ends; on a logarithmic side of more than three decades, of these alone.
    fn marks(&self, (low, high): (f64, f64)) -> Vec<f64> {
        if self.is_log {
            let of_decade: &[f64] = if high - low > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let decades = (-3..=7).flat_map(|power| of_decade.iter().map(move |n| n * 10_f64.powi(power)));
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

/// The plot; nothing where no curve has a point. `limit` is a line across. Curves beyond [`MOST`] are left out.
pub(super) fn plot(curves: &[Curve], (x_axis, y_axis): (Axis, Axis), limit: Option<f64>) -> String {
    let curves: Vec<&Curve> = curves.iter().filter(|curve| !curve.points.is_empty()).take(MOST).collect();
    let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    if points().next().is_none() {
        return String::new();
    }
    let xs = ends(points().map(|(x, _)| x_axis.scaled(x)).chain((!x_axis.is_log).then_some(0.0)));
    let ys = ends(points().map(|(_, y)| y_axis.scaled(y)).chain(limit.map(|limit| y_axis.scaled(limit))));
    let drawing = Drawing { x_axis, y_axis, xs, ys };
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">");
    // Writing to a String cannot fail.
    drawing.axes(&mut svg).unwrap_or_default();
    for (place, curve) in curves.iter().enumerate() {
        drawing.curve(&mut svg, (place, curve)).unwrap_or_default();
    }
    if let Some(limit) = limit {
        drawing.limit(&mut svg, limit).unwrap_or_default();
    }
    svg + "</svg>"
}

struct Drawing {
    x_axis: Axis,
    y_axis: Axis,
    xs: (f64, f64),
    ys: (f64, f64),
}

impl Drawing {
    const END: f64 = WIDTH - RIGHT;
    const FLOOR: f64 = HEIGHT - BOTTOM;

    fn x(&self, value: f64) -> f64 {
        LEFT + (self.x_axis.scaled(value) - self.xs.0) / (self.xs.1 - self.xs.0) * (Self::END - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        Self::FLOOR - (self.y_axis.scaled(value) - self.ys.0) / (self.ys.1 - self.ys.0) * (Self::FLOOR - TOP)
    }

    fn axes(&self, svg: &mut String) -> std::fmt::Result {
        let (end, floor) = (Self::END, Self::FLOOR);
        for mark in self.x_axis.marks(self.xs) {
            let x = self.x(mark);
            write!(svg, "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{floor}\"/>")?;
            write!(svg, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>", floor + 16.0, short(mark))?;
        }
        for mark in self.y_axis.marks(self.ys) {
            let y = self.y(mark);
            write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{end}\" y2=\"{y:.1}\"/>")?;
            write!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, y + 4.0, short(mark))?;
        }
        write!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{floor}H{end}\"/>")?;
        let (centre, middle) = (f64::midpoint(LEFT, end), f64::midpoint(TOP, floor));
        let name = |axis: &Axis| format!("{}{}", escaped(&axis.name), if axis.is_log { " (log)" } else { "" });
        let below = HEIGHT - 8.0;
        write!(svg, "<text x=\"{centre}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", name(&self.x_axis))?;
        write!(
            svg,
            "<text x=\"14\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle})\">{}</text>",
            name(&self.y_axis)
        )
    }

    /// A curve and its line of the legend.
    fn curve(&self, svg: &mut String, (place, curve): (usize, &Curve)) -> std::fmt::Result {
        let colour = COLOURS[curve.colour % COLOURS.len()];
        // More curves than colours: the second round is dashed.
        let dash = match (curve.is_dashed, curve.colour >= COLOURS.len()) {
            (true, _) => " stroke-dasharray=\"5 4\"",
            (false, true) => " stroke-dasharray=\"1 3\"",
            (false, false) => "",
        };
        let line: Vec<String> =
            curve.points.iter().map(|(x, y)| format!("{:.1},{:.1}", self.x(*x), self.y(*y))).collect();
        write!(svg, "<polyline points=\"{}\" stroke=\"{colour}\"{dash}/>", line.join(" "))?;
        if curve.points.len() <= 20 {
            for (x, y) in &curve.points {
                write!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", self.x(*x), self.y(*y))?;
            }
        }
        let (from, at) = (Self::END + 12.0, TOP + 6.0 + place as f64 * LINE);
        write!(svg, "<polyline points=\"{from},{at} {},{at}\" stroke=\"{colour}\"{dash}/>", from + 22.0)?;
        let mut name: String = curve.name.chars().take(LETTERS).collect();
        if curve.name.chars().count() > LETTERS {
            name.push('…');
        }
        write!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", from + 28.0, at + 4.0, escaped(&name))
    }

    fn limit(&self, svg: &mut String, limit: f64) -> std::fmt::Result {
        let (y, end) = (self.y(limit), Self::END);
        write!(svg, "<line class=\"limit\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{end}\" y2=\"{y:.1}\"/>")?;
        let above = if y - TOP < 16.0 { y + 14.0 } else { y - 5.0 };
        write!(svg, "<text class=\"halo\" x=\"{}\" y=\"{above:.1}\">allowed: {} ms</text>", LEFT + 6.0, short(limit))
    }
}

/// The least and the greatest, a little apart.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = ((high - low) * 0.05).max(1e-3 * high.abs().max(1e-3));
    (if low == 0.0 { 0.0 } else { low - room }, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
        Curve { name: name.to_owned(), points: points.to_vec(), colour: 0, is_dashed: false }
    }

    #[test]
    fn every_curve_is_inside_and_named_and_sides_say_their_unit_and_scale() {
        let svg = plot(
            &[curve("<a>", &[(1.0, 10.0), (30.0, 4000.0)]), curve("one", &[(5.0, 50.0)])],
            (Axis::linear("requests a second"), Axis::log("ms")),
            Some(500.0),
        );
        assert!(svg.contains("&lt;a&gt;") && svg.contains("ms (log)") && svg.contains("allowed: 500 ms"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
        let numbers = svg.split("cx=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse::<f64>().unwrap());
        assert!(numbers.into_iter().all(|x| (LEFT..=WIDTH - RIGHT).contains(&x)), "{svg}");
        assert_eq!(plot(&[curve("none", &[])], (Axis::linear("x"), Axis::log("y")), Some(1.0)), "");
    }
}
