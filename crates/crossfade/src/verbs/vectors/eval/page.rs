//! The comparison as one page that needs nothing else.

use std::fmt::Write as _;

use vectors::parity::{Change, Verdict};

use super::{Facts, HEADINGS, alike, how, number, row, word};

const POLICY: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">";
const STYLE: &str = "\
:root{color-scheme:light dark;--pass:#1a7f37;--fail:#cf222e;--undecided:#9a6700;--bar:#0969da}\
@media(prefers-color-scheme:dark){:root{--pass:#3fb950;--fail:#f85149;--undecided:#d29922;--bar:#58a6ff}}\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}.scroll{overflow-x:auto}\
table{border-collapse:collapse;width:100%;overflow-wrap:normal}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}\
.pass{color:var(--pass)}.fail{color:var(--fail)}.undecided{color:var(--undecided)}.verdict{font-size:1.1rem}.verdict b{text-transform:uppercase}\
svg{width:100%;max-width:54rem;height:auto;font:12px system-ui,sans-serif}svg text{fill:currentColor}svg line{stroke:#8888}svg .margin{stroke:var(--fail);stroke-dasharray:4 3}\
svg .bar{stroke:var(--bar);stroke-width:3}svg rect,svg circle{fill:var(--bar)}svg .fail .bar{stroke:var(--fail)}svg .fail circle{fill:var(--fail)}";

const WIDTH: f64 = 860.0;
const LABELS: f64 = 240.0;
const ROW: f64 = 24.0;
/// Queries whose lists changed most, by name.
const N_WORST: usize = 20;
const TENTHS: [f64; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// The page.
pub(super) fn html(facts: &Facts<'_>) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">{POLICY}<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Retrieval before and after</title><style>{STYLE}</style>\n<h1>Retrieval before and after</h1>\n"
    );
    // Writing to a String cannot fail.
    body(&mut page, facts).unwrap_or_default();
    page + "</html>\n"
}

fn body(page: &mut String, facts: &Facts<'_>) -> std::fmt::Result {
    let parity = facts.parity;
    let verdict = word(parity.verdict);
    writeln!(page, "<p class=\"verdict {verdict}\"><b>{verdict}</b> {}</p>", escaped(&parity.why))?;
    let (before, after) = parity.coverage;
    writeln!(
        page,
        "<p>Before: {} by {}, {} of {} queries answered. After: {} by {}, {} answered. The first {} count.</p>",
        escaped(facts.source),
        how(facts.lists.0),
        before.n_answered,
        parity.n_queries,
        escaped(facts.target),
        how(facts.lists.1),
        after.n_answered,
        parity.k
    )?;
    for note in &facts.notes {
        writeln!(page, "<p>{}</p>", escaped(note))?;
    }
    if !parity.quality.is_empty() {
        writeln!(
            page,
            "<h2>Quality, over {} judged queries</h2>\n{}",
            parity.n_judged,
            rows(&HEADINGS, &parity.quality.iter().map(row).collect::<Vec<_>>())
        )?;
        let slices = parity
            .slices
            .iter()
            .flat_map(|slice| slice.changes.iter().map(|change| (format!("{} {}", slice.name, change.metric), change)));
        let all: Vec<(String, &Change)> =
            parity.quality.iter().map(|change| (change.metric.clone(), change)).chain(slices).collect();
        writeln!(
            page,
            "<figure>{}<figcaption>After minus before, with 95 % intervals; dashed: the margin</figcaption></figure>",
            forest(&all, parity.margin)
        )?;
    }
    writeln!(page, "<h2>How alike the lists are</h2>\n{}", rows(&["", "queries", "mean", "95 %"], &alike(parity)))?;
    let overlaps: Vec<f64> = parity.queries.values().map(|(overlap, _)| *overlap).collect();
    writeln!(
        page,
        "<figure>{}<figcaption>Queries by the part of their first {} that both lists share</figcaption></figure>",
        histogram(&overlaps),
        parity.k
    )?;
    let mut worst: Vec<(&String, f64, Option<f64>)> =
        parity.queries.iter().map(|(query, (overlap, gain))| (query, *overlap, *gain)).collect();
    worst.sort_by(|one, other| one.2.unwrap_or(0.0).total_cmp(&other.2.unwrap_or(0.0)).then(one.1.total_cmp(&other.1)));
    let table: Vec<Vec<String>> = worst
        .iter()
        .take(N_WORST)
        .map(|(query, overlap, gain)| {
            vec![(*query).clone(), number(*overlap), gain.map_or_else(String::new, |gain| format!("{gain:+.4}"))]
        })
        .collect();
    writeln!(page, "<h2>Queries that lost most</h2>\n{}", rows(&["query", "overlap", "change of nDCG"], &table))
}

fn rows(headings: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |cells: &[String], tag: &str| {
        cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect::<String>()
    };
    let head: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let body: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row, "td"))).collect();
    format!("<div class=\"scroll\"><table><tr>{}</tr>\n{body}</table></div>", cells(&head, "th"))
}

/// Differences with their intervals.
fn forest(changes: &[(String, &Change)], margin: f64) -> String {
    let ends = changes.iter().flat_map(|(_, change)| {
        let (low, high) = change.difference.interval.unwrap_or((change.difference.mean, change.difference.mean));
        [low.abs(), high.abs()]
    });
    let furthest = ends.fold(1.5 * margin, f64::max);
    let x = |value: f64| LABELS + (WIDTH - LABELS) * (0.5 + value / (2.1 * furthest));
    let height = ROW * changes.len() as f64 + 28.0;
    let bottom = height - 24.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"differences with intervals\">");
    for (at, class, text) in [(0.0, "zero", "0".to_owned()), (-margin, "margin", format!("-{margin}"))] {
        svg += &format!(
            "<line class=\"{class}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{bottom}\"/><text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{text}</text>",
            x(at),
            height - 8.0
        );
    }
    for (at, (label, change)) in changes.iter().enumerate() {
        let y = ROW * (at as f64 + 0.5);
        let class = if change.verdict == Verdict::Fail { " class=\"fail\"" } else { "" };
        svg += &format!(
            "<g{class}><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LABELS - 12.0,
            y + 4.0,
            escaped(label)
        );
        if let Some((low, high)) = change.difference.interval {
            svg += &format!(
                "<line class=\"bar\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                x(low),
                x(high)
            );
        }
        svg += &format!("<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/></g>", x(change.difference.mean));
    }
    svg + "</svg>"
}

/// How many values lie in each tenth from 0 to 1.
fn histogram(values: &[f64]) -> String {
    const HEIGHT: f64 = 160.0;
    let mut counts = [0_usize; 11];
    for value in values {
        // Eleven bars: from each tenth to the next, and exactly 1.
        counts[TENTHS.iter().rposition(|least| value >= least).unwrap_or(0)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"queries by overlap\">", HEIGHT + 40.0);
    for (at, count) in counts.iter().enumerate() {
        let (x, height) = (40.0 + 72.0 * at as f64, HEIGHT * *count as f64 / most);
        let label = if at == 10 { "1".to_owned() } else { format!("{:.1}–", at as f64 / 10.0) };
        svg += &format!(
            "<rect x=\"{x}\" y=\"{:.1}\" width=\"60\" height=\"{height:.1}\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"middle\">{count}</text><text x=\"{1}\" y=\"{3}\" text-anchor=\"middle\">{label}</text>",
            HEIGHT - height + 16.0,
            x + 30.0,
            HEIGHT - height + 12.0,
            HEIGHT + 32.0
        );
    }
    svg + "</svg>"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
