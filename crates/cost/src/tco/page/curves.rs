//! Curves of a study: what a successful task costs on both sides as one figure moves and the rest stays, what is saved month by month with how sure
//! that is, and replicas by the hour of the week.

use std::fmt::Write as _;

use super::{WIDTH, escaped, short};
use crate::tco::facts::Costed;
use crate::tco::odds::{Month, moved};

const HEIGHT: f64 = 240.0;
/// Room for what is written at the left and below.
const LEFT: f64 = 70.0;
const BELOW: f64 = 34.0;
const POINTS: u32 = 60;

/// A frame of numbers: what is drawn in it is between `x` and `y`.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    is_log: bool,
}

impl Frame {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let part = if self.is_log {
            (x / self.x.0).ln() / (self.x.1 / self.x.0).ln()
        } else {
            (x - self.x.0) / (self.x.1 - self.x.0)
        };
        let up = (y - self.y.0) / (self.y.1 - self.y.0).max(1e-300);
        (LEFT + (WIDTH - LEFT - 10.0) * part, (HEIGHT - BELOW) - (HEIGHT - BELOW - 12.0) * up)
    }

    fn line(&self, class: &str, points: &[(f64, f64)]) -> String {
        let place = |(x, y): &(f64, f64)| {
            let (x, y) = self.at(*x, *y);
            format!("{x:.1},{y:.1}")
        };
        let points: Vec<String> = points.iter().map(place).collect();
        format!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "))
    }

    /// A mark at an `x`, with its words below.
    fn mark(&self, class: &str, x: f64, words: &str) -> String {
        let (at, _) = self.at(x, self.y.0);
        let anchor = if at > WIDTH * 0.8 { "end" } else { "start" };
        format!(
            "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{0}\"/><text x=\"{at:.1}\" y=\"{1}\" text-anchor=\"{anchor}\">{2}</text>",
            HEIGHT - BELOW,
            HEIGHT - BELOW + 26.0,
            escaped(words)
        )
    }

    fn open(&self, label: &str, (low, high): (&str, &str)) -> String {
        let ends = [(LEFT, "start", low), (WIDTH - 10.0, "end", high)];
        let mut svg = format!(
            "<div class=\"plot\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escaped(label)
        );
        for (x, anchor, words) in ends {
            let y = HEIGHT - BELOW + 13.0;
            write!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escaped(words))
                .unwrap_or_default();
        }
        for value in [self.y.0, self.y.1] {
            let (_, y) = self.at(self.x.0, value);
            write!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, y + 4.0, short(value))
                .unwrap_or_default();
        }
        svg
    }
}

/// Least and most of values, with a little room; `None` of none.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = ((high - low) * 0.05).max(high.abs() * 1e-3);
    (low <= high).then_some((low - room, high + room))
}

/// What both sides cost as one figure moves, with where they are even.
pub(super) fn evens(page: &mut String, costed: &Costed) -> std::fmt::Result {
    let value = |id: &str| costed.book.value(id).map(crate::tco::Exact::to_f64);
    let mut plots = String::new();
    for (input, even, what, unit) in [
        ("tasks_per_month", "even.volume", "tasks a month", ""),
        ("candidate.first_pass", "even.first_pass", "first-pass success of the candidate", ""),
        ("review_hour", "even.review_hour", "an hour of review", "$"),
    ] {
        let (Some(here), Some(even)) = (value(input), value(even)) else { continue };
        let is_share = input.ends_with("first_pass");
        let is_even = even > 0.0 && (!is_share || even <= 1.0);
        let near = if is_even { even } else { here };
        let x = match (is_share, input) {
            (true, _) => ((here.min(near) - 0.1).max(0.0), (here.max(near) + 0.1).min(1.0)),
            (false, "tasks_per_month") => (here.min(near) / 4.0, here.max(near) * 4.0),
            (false, _) => (0.0, here.max(near) * 1.5),
        };
        if x.1 <= x.0 || !x.1.is_finite() {
            continue;
        }
        let is_log = input == "tasks_per_month";
        let at = |idx: u32| {
            let part = f64::from(idx) / f64::from(POINTS);
            if is_log { x.0 * (x.1 / x.0).powf(part) } else { x.0 + (x.1 - x.0) * part }
        };
        let xs: Vec<f64> = (0..=POINTS).map(at).collect();
        let Some(sides) = moved(&costed.book, input, &xs) else { continue };
        let Some(y) = ends(sides.iter().flat_map(|both| both.iter().copied())) else { continue };
        let frame = Frame { x, y, is_log };
        let lines = [0, 1].map(|side| {
            let points: Vec<(f64, f64)> =
                xs.iter().zip(&sides).map(|(x, both)| (*x, both[side])).filter(|(_, y)| y.is_finite()).collect();
            frame.line(["one", "other"][side], &points)
        });
        let mut marks = frame.mark("zero", here, &format!("here {unit}{}", short(here)));
        if is_even {
            marks =
                frame.mark("zero", here, "") + &frame.mark("target", even, &format!("even at {unit}{}", short(even)));
        }
        let label = format!("a successful task by {what}, $");
        let open = frame.open(&label, (&format!("{unit}{}", short(x.0)), &format!("{unit}{}", short(x.1))));
        write!(
            plots,
            "<h3>A successful task, in dollars, by {}</h3>\n{open}{}{marks}</svg></div>\n",
            escaped(what),
            lines.concat()
        )?;
    }
    if plots.is_empty() {
        return Ok(());
    }
    writeln!(page, "<h2>Where both cost the same</h2>\n{plots}{}", legend(costed))
}

/// Which line is whose.
fn legend(costed: &Costed) -> String {
    let [baseline, candidate] = costed.sides.each_ref().map(|name| escaped(name));
    format!("<p class=\"small\"><b class=\"one\">━</b> {baseline} <b class=\"other\">━</b> {candidate}</p>")
}

/// What is saved by each month: nine in ten, the middle and one in ten.
pub(super) fn fan(page: &mut String, months: &[Month]) -> std::fmt::Result {
    let (Some(first), Some(last)) = (months.first(), months.last()) else { return Ok(()) };
    let all = months.iter().flat_map(|month| [month.saved.p10, month.saved.p90, 0.0]);
    let Some(y) = ends(all) else { return Ok(()) };
    let frame = Frame { x: (f64::from(first.month), f64::from(last.month).max(2.0)), y, is_log: false };
    let of = |value: fn(&Month) -> f64| -> Vec<(f64, f64)> {
        months.iter().map(|month| (f64::from(month.month), value(month))).collect()
    };
    let mut band = of(|month| month.saved.p90);
    band.extend(of(|month| month.saved.p10).into_iter().rev());
    let band: Vec<String> = band.iter().map(|(x, y)| frame.at(*x, *y)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let ((left, zero), (right, _)) = (frame.at(frame.x.0, 0.0), frame.at(frame.x.1, 0.0));
    writeln!(
        page,
        "<h2>Saved until then, in dollars</h2>\n{}<polygon class=\"band\" points=\"{}\"/>{}\
         <line class=\"zero\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{zero:.1}\" y2=\"{zero:.1}\"/></svg></div>\n\
         <p class=\"small\">The change itself is taken off. The line is P50, the band from P10 to P90. By month {} the change has paid for itself with a chance of {}.</p>",
        frame.open("what is saved by month: P10, P50 and P90", ("month 1", &format!("month {}", last.month))),
        band.join(" "),
        frame.line("one", &of(|month| month.saved.p50)),
        last.month,
        super::percent(last.paid_back)
    )
}

/// Replicas by the hour of the week, of the sides that have them.
pub(super) fn hours(page: &mut String, costed: &Costed) -> std::fmt::Result {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    for side in [0, 1] {
        let hour = |idx: usize| {
            costed
                .cell(side, &format!("gpus.hour_{idx:03}"))
                .and_then(|cell| cell.value.as_ref().map(crate::tco::Exact::to_f64))
        };
        let hours: Vec<f64> = (0..168).map_while(hour).collect();
        let most = hours.iter().copied().fold(1.0, f64::max);
        if hours.len() < 168 {
            continue;
        }
        let name = escaped(&costed.sides[side]);
        writeln!(
            page,
            "<h2>Replicas of {name} by the hour of the week, UTC</h2>\n<div class=\"plot\"><svg viewBox=\"0 0 {WIDTH} 170\" role=\"img\" aria-label=\"replicas by hour of the week\">"
        )?;
        let width = (WIDTH - LEFT - 10.0) / 168.0;
        for (idx, n) in hours.iter().enumerate() {
            let height = 130.0 * n / most;
            let x = LEFT + width * idx as f64;
            write!(
                page,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                145.0 - height,
                width - 0.6
            )?;
        }
        for (idx, day) in DAYS.iter().enumerate() {
            write!(page, "<text x=\"{:.1}\" y=\"162\">{day}</text>", LEFT + width * 24.0 * idx as f64)?;
        }
        writeln!(page, "<text x=\"{}\" y=\"18\" text-anchor=\"end\">{}</text></svg></div>", LEFT - 6.0, short(most))?;
    }
    Ok(())
}
