//! How many simulated rollouts had ended after so many days, and how: an SVG by hand.

use rollout::simulate::{Ending, Fate};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 48.0;
/// Endings with their words and colours, told apart without red and green.
const ENDINGS: [(Ending, &str, &str); 5] = [
    (Ending::Completed, "completed", "#0072b2"),
    (Ending::RolledBack, "rolled back", "#d55e00"),
    (Ending::Waiting, "stopped for a person", "#999999"),
    (Ending::Undecided, "undecided", "#f0e442"),
    (Ending::Refused, "refused by people", "#cc79a7"),
];

/// The picture and the numbers on one page that needs nothing else.
pub(super) fn html(fates: &[Fate], numbers: &str) -> String {
    let numbers = numbers.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Simulated rollouts</title>\n\
         <body style=\"font-family: sans-serif; max-width: 72em; margin: 2em auto\">\n<h1>Simulated rollouts</h1>\n\
         <p>How many had ended after so many days, and how. Simulated: nothing here was measured on a candidate.</p>\n{}\
         <pre>{numbers}</pre>\n</body></html>\n",
        svg(fates)
    )
}

/// One curve for each ending that happened.
pub(super) fn svg(fates: &[Fate]) -> String {
    let most_days = fates.iter().map(|fate| fate.days).fold(1.0, f64::max);
    let x = |days: f64| MARGIN + days / most_days * (WIDTH - 2.0 * MARGIN);
    let y = |fraction: f64| HEIGHT - MARGIN - fraction * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    for tick in 0..=4 {
        let part = f64::from(tick) / 4.0;
        svg.push_str(&format!(
            "<line x1=\"{0}\" y1=\"{2:.1}\" x2=\"{1}\" y2=\"{2:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{3}\" y=\"{4:.1}\" text-anchor=\"end\">{5:.0} %</text>\n\
             <text x=\"{6:.1}\" y=\"{7}\" text-anchor=\"middle\">{8:.1}</text>\n",
            MARGIN,
            WIDTH - MARGIN,
            y(part),
            MARGIN - 6.0,
            y(part) + 4.0,
            part * 100.0,
            x(part * most_days),
            HEIGHT - MARGIN + 18.0,
            part * most_days,
        ));
    }
    svg.push_str(&format!("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">days</text>\n", WIDTH / 2.0, HEIGHT - 8.0));
    let mut legend = MARGIN;
    for (ending, words, colour) in ENDINGS {
        let mut days: Vec<f64> = fates.iter().filter(|fate| fate.ending == ending).map(|fate| fate.days).collect();
        if days.is_empty() {
            continue;
        }
        days.sort_by(f64::total_cmp);
        let mut points = format!("{:.1},{:.1}", x(0.0), y(0.0));
        let mut before = 0.0;
        for (idx, day) in days.iter().enumerate() {
            let fraction = (idx + 1) as f64 / fates.len() as f64;
            points.push_str(&format!(" {0:.1},{1:.1} {0:.1},{2:.1}", x(*day), y(before), y(fraction)));
            before = fraction;
        }
        points.push_str(&format!(" {:.1},{:.1}", x(most_days), y(before)));
        svg.push_str(&format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{legend:.0}\" y=\"24\" fill=\"{colour}\">{words} {:.1} %</text>\n",
            before * 100.0
        ));
        legend += 150.0;
    }
    svg.push_str("</svg>\n");
    svg
}
