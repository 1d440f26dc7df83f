//! Plots as SVG.

use crate::figure::Figure;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 130.0;
const LEFT: f64 = 8.0;
const BOTTOM: f64 = 24.0;

/// A share with its interval against what is demanded; both in percent.
pub(crate) fn parity(kept: &Figure, demanded: f64) -> Option<String> {
    let value = kept.value?;
    let (low, high) = (kept.low.unwrap_or(value), kept.high.unwrap_or(value));
    let (from, to) = (low.min(demanded).min(0.8) - 0.02, high.max(1.0).max(demanded) + 0.02);
    let x = |share: f64| LEFT + (share - from) / (to - from) * (WIDTH - 2.0 * LEFT);
    let middle = 58.0;
    let mut svg = open("Mean score, as a share of the baseline's, with its interval");
    svg += &format!(
        "<line class='limit' x1='{0:.1}' x2='{0:.1}' y1='24' y2='{1:.1}'/><text x='{0:.1}' y='16' text-anchor='middle'>demanded {2:.0} %</text>\
         <line class='range' x1='{3:.1}' x2='{4:.1}' y1='{middle}' y2='{middle}'/><circle cx='{5:.1}' cy='{middle}' r='5'/>\
         <text x='{5:.1}' y='{6:.1}' text-anchor='middle'>{7:.1} %</text>",
        x(demanded),
        HEIGHT - BOTTOM,
        demanded * 100.0,
        x(low),
        x(high),
        x(value),
        middle + 22.0,
        value * 100.0
    );
    axis(
        &mut svg,
        x(from),
        x(to),
        &[(x(low), format!("{:.1}", low * 100.0)), (x(high), format!("{:.1}", high * 100.0))],
    );
    Some(svg + "</svg>")
}

/// How many answers came within which time, of both.
pub(crate) fn times([baseline, candidate]: &[Vec<(f64, f64)>; 2], limit_ms: f64) -> Option<String> {
    let end = |points: &Vec<(f64, f64)>| points.iter().find(|point| point.1 >= 0.995).map(|point| point.0);
    let longest = end(baseline).into_iter().chain(end(candidate)).fold(limit_ms * 1.05, f64::max);
    if baseline.is_empty() && candidate.is_empty() {
        return None;
    }
    let x = |ms: f64| LEFT + (ms / longest).min(1.0) * (WIDTH - 2.0 * LEFT);
    let y = |share: f64| 22.0 + (1.0 - share) * (HEIGHT - BOTTOM - 22.0);
    let mut svg = open("Share of answers within a time");
    svg += &format!(
        "<line class='limit' x1='{0:.1}' x2='{0:.1}' y1='20' y2='{1:.1}'/><line class='grid' x1='{LEFT}' x2='{2:.1}' y1='{3:.1}' y2='{3:.1}'/>\
         <text x='{LEFT}' y='{4:.1}'>95 %</text>",
        x(limit_ms),
        HEIGHT - BOTTOM,
        WIDTH - LEFT,
        y(0.95),
        y(0.95) - 3.0
    );
    for (class, points) in [("baseline", baseline), ("candidate", candidate)] {
        let line: Vec<String> = points.iter().map(|(ms, share)| format!("{:.1},{:.1}", x(*ms), y(*share))).collect();
        svg += &format!("<polyline class='{class}' points='{}'/>", line.join(" "));
    }
    axis(&mut svg, LEFT, WIDTH - LEFT, &[(LEFT, "0".to_owned()), (x(limit_ms), format!("{limit_ms:.0} ms"))]);
    Some(svg + "</svg>")
}

/// How often which saving was drawn.
pub(crate) fn saving((first, width, bars): &(f64, f64, Vec<u32>), target: f64) -> Option<String> {
    let most = f64::from(*bars.iter().max()?);
    let last = first + width * bars.len() as f64;
    if most <= 0.0 || *width <= 0.0 {
        return None;
    }
    let (from, to) = (first.min(0.0).min(target), last.max(target).max(0.0));
    let x = |share: f64| LEFT + (share - from) / (to - from) * (WIDTH - 2.0 * LEFT);
    let mut svg = open("How often which saving was drawn");
    for (idx, n) in bars.iter().enumerate() {
        let at = first + width * idx as f64;
        let height = f64::from(*n) / most * (HEIGHT - BOTTOM - 24.0);
        let class = if at + width * 0.5 >= target { "reached" } else { "missed" };
        svg += &format!(
            "<rect class='{class}' x='{:.2}' y='{:.1}' width='{:.2}' height='{height:.1}'/>",
            x(at),
            HEIGHT - BOTTOM - height,
            (x(at + width) - x(at)).max(0.3)
        );
    }
    svg += &format!(
        "<line class='limit' x1='{0:.1}' x2='{0:.1}' y1='20' y2='{1:.1}'/><text x='{0:.1}' y='14' text-anchor='middle'>wanted {2:.0} %</text>",
        x(target),
        HEIGHT - BOTTOM,
        target * 100.0
    );
    axis(&mut svg, LEFT, WIDTH - LEFT, &[(x(0.0), "0 %".to_owned()), (x(last), format!("{:.0} %", last * 100.0))]);
    Some(svg + "</svg>")
}

fn open(label: &str) -> String {
    format!("<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{}'>", label.replace('\'', "&#39;"))
}

fn axis(svg: &mut String, from: f64, to: f64, ticks: &[(f64, String)]) {
    let y = HEIGHT - BOTTOM;
    *svg += &format!("<line class='axis' x1='{from:.1}' x2='{to:.1}' y1='{y}' y2='{y}'/>");
    let mut free = f64::NEG_INFINITY;
    for (x, text) in ticks {
        // Two that would lie on each other are one too many.
        if *x - free < 34.0 {
            continue;
        }
        free = *x;
        let anchor = if *x < 30.0 {
            "start"
        } else if *x > WIDTH - 30.0 {
            "end"
        } else {
            "middle"
        };
        *svg += &format!("<text x='{x:.1}' y='{:.1}' text-anchor='{anchor}'>{text}</text>", HEIGHT - 8.0);
    }
}
