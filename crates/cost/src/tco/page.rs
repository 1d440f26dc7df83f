//! One page that needs nothing else: what it comes to, item by item beside each other, how sure one can be, and where every figure is from.

mod curves;

use std::fmt::Write as _;

use super::book::{Cell, Provenance};
use super::facts::Costed;
use super::odds::{Needed, Odds, Verdict};
use super::scenario::Scenario;
use super::study::LineItem;

const STYLE: &str = "\
:root{color-scheme:light dark;background:Canvas;color:CanvasText}\
body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr.sum td{font-weight:600}\
.reached{color:#1a7f37}.missed{color:#cf222e}.undecided{color:#9a6700}.small{color:#59636e;font-size:.85rem}.verdict{font-size:1.1rem}.verdict b{text-transform:uppercase}\
svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:currentColor}svg rect{fill:#0969da}svg rect.below{fill:#cf222e}\
svg .zero{stroke:#8888}svg .target{stroke:#1a7f37;stroke-dasharray:4 3}svg .band{fill:#0969da33}b.one{color:#0969da}b.other{color:#bc4c00}\
@media(max-width:60rem){table,div.plot{display:block;overflow-x:auto}div.plot svg{min-width:40rem}}body{overflow-wrap:anywhere}table{overflow-wrap:normal}\
@media(prefers-color-scheme:dark){.reached{color:#3fb950}.missed{color:#ff7b72}.undecided{color:#d29922}.small{color:#9198a1}b.one{color:#4493f8}b.other{color:#f0883e}svg rect{fill:#4493f8}svg polyline{stroke:#4493f8}svg polyline.other{stroke:#f0883e}}\
svg polyline{fill:none;stroke:#0969da;stroke-width:2}svg polyline.other{stroke:#bc4c00}\
td.e{overflow-wrap:anywhere;max-width:32rem}";

/// Says to the browser what is so anyway: nothing runs, and nothing is fetched.
const POLICY: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">";

const WIDTH: f64 = 860.0;

/// A share as a percentage.
#[must_use]
pub fn percent(share: f64) -> String {
    // No minus before a zero.
    format!("{:.1} %", (share * 1000.0).round() / 10.0 + 0.0)
}

/// What a study comes to, in sentences.
#[must_use]
pub fn sentences(costed: &Costed) -> Vec<String> {
    let [baseline, candidate] = &costed.sides;
    let Some(odds) = &costed.odds else {
        let n = costed.book.unknown().count();
        let unknown = format!(
            "Not known: {n} {} to be filled in before anything can be said.",
            if n == 1 { "figure has" } else { "figures have" }
        );
        return unproven(costed).chain([unknown]).collect();
    };
    let mut said: Vec<String> = unproven(costed).collect();
    let cost = |side: usize| {
        costed.cell(side, "cost_per_successful_task").and_then(|cell| rounded(cell, 5)).unwrap_or_default()
    };
    let own = costed.book.value("saving.share").map(super::Exact::to_f64).unwrap_or_default();
    let direction = |share: f64| format!("{} {}", percent(share.abs()), if share < 0.0 { "dearer" } else { "cheaper" });
    said.push(format!(
        "A successful task costs ${} at {candidate} and ${} at {baseline}, all in, by the worksheet's own values: {}. With what is uncertain drawn at random it is {} (P50; P10 to P90: {}), \
         and this decides.",
        cost(1),
        cost(0),
        direction(own),
        direction(odds.saving.p50),
        span(odds.saving.p10, odds.saving.p90)
    ));
    said.extend(a_month(costed, odds));
    let word = match odds.verdict {
        Verdict::Reached => "the target is reached",
        Verdict::Missed => "the target is missed",
        Verdict::Undecided => "undecided",
    };
    said.push(format!(
        "That a successful task is {} or more cheaper is {} likely, that it is cheaper at all {}; from {} on the target is reached, up to {} it is missed: {word}, by the draws of this study.",
        percent(odds.target),
        percent(odds.reaches),
        percent(odds.cheaper),
        percent(odds.certainty),
        percent(1.0 - odds.certainty),
    ));
    said.push(needed(odds));
    said.extend(what_settles(costed, odds));
    said.extend(evens(costed));
    said
}

/// What a month costs, and why that can go the other way than what a successful task costs.
fn a_month(costed: &Costed, odds: &Odds) -> Option<String> {
    let [baseline, candidate] = &costed.sides;
    let value = |side: usize, name: &str| costed.cell(side, name)?.value.as_ref().map(super::Exact::to_f64);
    let (before, after) = (value(0, "total")?, value(1, "total")?);
    let direction = if after > before { "dearer" } else { "cheaper" };
    let mut words = format!(
        "A month, by the worksheet's own values, costs ${after:.0} at {candidate} and ${before:.0} at {baseline}: {} {direction}.",
        percent((after / before - 1.0).abs())
    );
    if (after > before) == (odds.saving.p50 > 0.0) {
        let right = |side: usize, total: f64| Some(total / value(side, "cost_per_successful_task")?);
        words += &format!(
            " A month and a successful task go different ways because of the same tasks {:.0} succeed at {candidate} and {:.0} at {baseline}; the target is for a successful task.",
            right(1, after)?,
            right(0, before)?
        );
    }
    Some(words)
}

/// What somebody can do to have it decided, as they would type it.
fn what_settles(costed: &Costed, odds: &Odds) -> Option<String> {
    let [baseline, candidate] = &costed.sides;
    match &odds.needed {
        Needed::Cases { cases, more, .. } if *more > 0 => Some(format!(
            "To ask so many: `crossfade eval run --dataset DATASET --target {baseline} --target {candidate} --limit {cases} --run NAME`, with the metric of before; \
             `crossfade tco init --run NAME --print` has its counts for `first_pass`, and `crossfade tco run` on the worksheet says what they decide."
        )),
        Needed::NotByCases { because: Some(because) } => {
            let swing = odds.tornado.iter().find(|swing| swing.id == *because || swing.label == *because)?;
            Some(format!(
                "At its P10 ({}) the saving for a successful task is {}, at its P90 ({}) {}: a closer figure in the worksheet settles it; `--set {}={}` tries one.",
                short(swing.input.0),
                percent(swing.saving.0),
                short(swing.input.1),
                percent(swing.saving.1),
                swing.id,
                short(swing.input.1)
            ))
        }
        _ => None,
    }
}

/// Why the study is no evidence, whatever comes of it.
fn unproven(costed: &Costed) -> impl Iterator<Item = String> {
    let example = costed.example.then(|| {
        "EXAMPLE: every figure is made up, to show how a worksheet is filled in; it is no evidence of any costs."
            .to_owned()
    });
    example.into_iter().chain(simulated(costed))
}

/// Says that figures of the study are of answers that were made up, where their evidence says so of any.
#[must_use]
pub fn simulated(costed: &Costed) -> Option<String> {
    let n = simulated_figures(costed);
    let words = if n == 1 { "figure is" } else { "figures are" };
    (n > 0).then(|| {
        format!(
            "SIMULATED: {n} {words} of simulated providers; what follows is a rehearsal and shows nothing of the costs."
        )
    })
}

/// Figures whose evidence says that they are of simulated providers.
#[must_use]
pub fn simulated_figures(costed: &Costed) -> usize {
    let is_simulated =
        |cell: &&Cell| cell.formula.is_none() && cell.source.evidence.to_lowercase().contains("simulated");
    costed.book.cells().iter().filter(is_simulated).count()
}

/// From the lesser saving to the greater, in the words of their directions; what is dearer on both ends goes from the least to the most.
fn span(low: f64, high: f64) -> String {
    if high <= 0.0 {
        format!("{} to {} dearer", percent(-high), percent(-low))
    } else if low < 0.0 {
        format!("{} dearer to {} cheaper", percent(-low), percent(high))
    } else {
        format!("{} to {} cheaper", percent(low), percent(high))
    }
}

fn needed(odds: &Odds) -> String {
    match &odds.needed {
        Needed::Cases { cases, more, there, reached } => {
            let what = if *reached { "reached" } else { "missed" };
            let more = match more {
                0 => format!("there are enough: {there}"),
                more => format!("{more} more than the {there} there are"),
            };
            format!(
                "What was seen so far points to a target that is {what}: if it is the truth, an evaluation of {cases} cases a side shows that four times in five ({more})."
            )
        }
        Needed::NotByCases { because: Some(because) } => {
            format!("No number of evaluation cases settles it alone; of the rest, this moves it most: {because}.")
        }
        Needed::NotByCases { because: None } => {
            "No number of evaluation cases settles it: the saving is too close to the target.".to_owned()
        }
        Needed::NotCounted => {
            "First-pass success is not from counted cases: an evaluation run would say how sure it is.".to_owned()
        }
    }
}

fn evens(costed: &Costed) -> Vec<String> {
    let value = |id: &str| costed.book.find(id).filter(|cell| cell.value.is_some());
    let mut said = Vec::new();
    if let Some(cell) = value("even.month") {
        let month = cell.shown().unwrap_or_default();
        let months = costed.months;
        said.push(match month.as_str() {
            "0" => format!("The change does not pay for itself within {months} months."),
            month => format!("The change has paid for itself in month {month}."),
        });
    }
    let mut even = |id: &str, most: f64, words: &dyn Fn(&Cell) -> String, none: &str| {
        if let Some(cell) = value(id) {
            let at = cell.value.as_ref().map_or(f64::NAN, super::Exact::to_f64);
            said.push(if (0.0..=most).contains(&at) { words(cell) } else { none.to_owned() });
        }
    };
    let text = |cell: &Cell, places| rounded(cell, places).unwrap_or_default();
    let words = |cell: &Cell| format!("Both cost the same at {} tasks a month.", text(cell, 0));
    even("even.volume", f64::INFINITY, &words, "At no number of tasks do both cost the same.");
    let words = |cell: &Cell| {
        format!(
            "Both cost the same where the candidate is right at the first attempt in {} of tasks.",
            percent(cell.value.as_ref().map_or(0.0, super::Exact::to_f64))
        )
    };
    even("even.first_pass", 1.0, &words, "No first-pass success of the candidate makes both cost the same.");
    let words = |cell: &Cell| format!("Both cost the same where an hour of review costs ${}.", text(cell, 2));
    even("even.review_hour", f64::INFINITY, &words, "At no price of review do both cost the same.");
    said
}

/// A cell's value to so many places.
#[must_use]
pub fn rounded(cell: &Cell, places: u32) -> Option<String> {
    let least = if cell.unit.starts_with('$') { 2 } else { 0 };
    cell.value.as_ref().map(|value| value.rounded(places, least))
}

/// The page of a study.
#[must_use]
pub fn html(costed: &Costed) -> String {
    let mark = if simulated(costed).is_some() { "SIMULATED · " } else { "" };
    let title = format!("{mark}Cost of {}: {} beside {}", costed.name, costed.sides[1], costed.sides[0]);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">{POLICY}<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{0}</title><style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    // Writing to a String cannot fail.
    head(&mut page, costed).unwrap_or_default();
    items(&mut page, costed).unwrap_or_default();
    if let Some(odds) = &costed.odds {
        chances(&mut page, odds).unwrap_or_default();
        curves::evens(&mut page, costed).unwrap_or_default();
        curves::fan(&mut page, &odds.months).unwrap_or_default();
    }
    months(&mut page, costed).unwrap_or_default();
    scenarios(&mut page, costed).unwrap_or_default();
    curves::hours(&mut page, costed).unwrap_or_default();
    cells(&mut page, costed).unwrap_or_default();
    page + "</html>\n"
}

/// The plots of how sure a study is, each with what it shows. Every text in them is escaped.
#[must_use]
pub fn plots(costed: &Costed) -> Vec<(&'static str, String)> {
    let Some(odds) = &costed.odds else { return Vec::new() };
    let mut plots = vec![("How likely which saving is", histogram(odds))];
    if !odds.tornado.is_empty() {
        plots.push(("What each input does to the saving, from its P10 to its P90", tornado(odds)));
    }
    plots.retain(|(_, svg)| !svg.is_empty());
    plots
}

fn head(page: &mut String, costed: &Costed) -> std::fmt::Result {
    if let Some(odds) = &costed.odds {
        let verdict = odds.verdict.as_str();
        writeln!(
            page,
            "<p class=\"verdict {verdict}\"><b>{verdict}</b> saving of {} wanted</p>",
            percent(odds.target)
        )?;
    }
    for sentence in sentences(costed) {
        writeln!(page, "<p>{}</p>", escaped(&sentence))?;
    }
    let unknown: Vec<&Cell> = costed.book.unknown().collect();
    if !unknown.is_empty() {
        page.push_str("<h2>Asked for</h2>\n<ul>\n");
        for cell in &unknown {
            writeln!(
                page,
                "<li>{}, in {} <span class=\"small\">{}; {}</span>",
                escaped(&cell.label),
                escaped(cell.unit),
                escaped(&cell.id),
                escaped(&cell.place())
            )?;
        }
        page.push_str("</ul>\n");
    }
    let n = |provenance| costed.n_from(provenance);
    writeln!(
        page,
        "<p class=\"small\">Of {} figures, unknown: {}, measured: {}, stated: {}, assumed: {}; the rest is computed from these. Worksheet of {}.</p>",
        costed.book.cells().len(),
        unknown.len(),
        n(Provenance::Measured),
        n(Provenance::Stated),
        n(Provenance::Assumed),
        costed.date
    )
}

fn items(page: &mut String, costed: &Costed) -> std::fmt::Result {
    writeln!(
        page,
        "<h2>A month, item by item</h2>\n<table><tr><th>item<th class=\"n\">{}, $<th class=\"n\">{}, $<th>where from",
        escaped(&costed.sides[0]),
        escaped(&costed.sides[1])
    )?;
    let money = |cell: Option<&Cell>| {
        cell.map_or_else(String::new, |cell| rounded(cell, 2).unwrap_or_else(|| "unknown".to_owned()))
    };
    for item in LineItem::ALL {
        let both = costed.item(item);
        write!(page, "<tr><td>{}", item.label())?;
        for cell in both {
            write!(page, "<td class=\"n\">{}", money(cell))?;
        }
        let said: Vec<String> = both
            .iter()
            .flatten()
            .filter(|cell| cell.formula.is_none())
            .map(|cell| escaped(&cell.source.evidence))
            .collect();
        writeln!(page, "<td class=\"small e\">{}", said.join(" · "))?;
    }
    for (name, label) in [
        ("total", "Everything"),
        ("cost_per_successful_task", "For a successful task"),
        ("cost_per_attempt", "For an attempt"),
    ] {
        write!(page, "<tr class=\"sum\"><td>{label}")?;
        for side in [0, 1] {
            let places = if name == "total" { 2 } else { 6 };
            let cell = costed.cell(side, name).and_then(|cell| rounded(cell, places));
            write!(page, "<td class=\"n\">{}", cell.unwrap_or_else(|| "unknown".to_owned()))?;
        }
        page.push_str("<td>\n");
    }
    page.push_str("</table>\n");
    Ok(())
}

fn chances(page: &mut String, odds: &Odds) -> std::fmt::Result {
    writeln!(page, "<h2>How sure it is</h2>\n<p>{} draws, seed {}.</p>\n{}", odds.draws, odds.seed, histogram(odds))?;
    page.push_str("<table><tr><th><th class=\"n\">P10<th class=\"n\">P50<th class=\"n\">P90\n");
    for (label, at) in
        [("baseline, $ for a successful task", odds.baseline), ("candidate, $ for a successful task", odds.candidate)]
    {
        writeln!(
            page,
            "<tr><td>{label}<td class=\"n\">{:.6}<td class=\"n\">{:.6}<td class=\"n\">{:.6}",
            at.p10, at.p50, at.p90
        )?;
    }
    let saving = odds.saving;
    writeln!(
        page,
        "<tr><td>saving<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}\n</table>",
        percent(saving.p10),
        percent(saving.p50),
        percent(saving.p90)
    )?;
    if odds.tornado.is_empty() {
        return writeln!(page, "<p>No input has a spread: every figure is taken for certain.</p>");
    }
    page.push_str("<h2>What moves the saving</h2>\n");
    page.push_str(&tornado(odds));
    page.push_str("<table><tr><th>input<th class=\"n\">its P10<th class=\"n\">its P90<th class=\"n\">saving there<th class=\"n\">and there<th class=\"n\">share of the uncertainty\n");
    for swing in &odds.tornado {
        writeln!(
            page,
            "<tr><td>{} <span class=\"small\">{}</span><td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}",
            escaped(&swing.label),
            escaped(&swing.id),
            short(swing.input.0),
            short(swing.input.1),
            percent(swing.saving.0),
            percent(swing.saving.1),
            percent(swing.share)
        )?;
    }
    page.push_str("</table>\n");
    Ok(())
}

/// Four significant digits.
fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let places = (3.0 - digits).clamp(0.0, 9.0);
    (0..=9).find(|n| f64::from(*n) >= places).map_or_else(String::new, |n: u8| format!("{value:.*}", usize::from(n)))
}

fn histogram(odds: &Odds) -> String {
    let (from, width, bars) = &odds.histogram;
    let most = bars.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let span = width * bars.len() as f64;
    let x = |saving: f64| WIDTH * (saving - from) / span;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} 220\" role=\"img\" aria-label=\"how likely which saving is\">");
    for (idx, n) in bars.iter().enumerate() {
        let at = from + width * idx as f64;
        let height = 180.0 * f64::from(*n) / f64::from(most);
        let class = if at + width / 2.0 < 0.0 { " class=\"below\"" } else { "" };
        write!(
            svg,
            "<rect{class} x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            x(at),
            195.0 - height,
            WIDTH / bars.len() as f64 - 1.0
        )
        .unwrap_or_default();
    }
    for (class, at, label) in
        [("zero", 0.0, "0".to_owned()), ("target", odds.target, format!("target {}", percent(odds.target)))]
    {
        if (0.0..=WIDTH).contains(&x(at)) {
            write!(svg, "<line class=\"{class}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"195\"/><text x=\"{0:.1}\" y=\"212\" text-anchor=\"middle\">{label}</text>", x(at)).unwrap_or_default();
        }
    }
    let ends = [(0.0, "start", from + 0.0), (WIDTH, "end", from + span)];
    for (at, anchor, saving) in ends {
        write!(svg, "<text x=\"{at}\" y=\"212\" text-anchor=\"{anchor}\">{}</text>", percent(saving))
            .unwrap_or_default();
    }
    svg + "</svg>\n"
}

fn tornado(odds: &Odds) -> String {
    const LABELS: f64 = 320.0;
    const ROW: f64 = 26.0;
    let swings = &odds.tornado[..odds.tornado.len().min(12)];
    let ends = swings.iter().flat_map(|swing| [swing.saving.0, swing.saving.1]).chain([odds.target, 0.0]);
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), end| (low.min(end), high.max(end)));
    let x = |saving: f64| LABELS + (WIDTH - LABELS - 20.0) * (saving - low) / (high - low).max(1e-9) + 10.0;
    let height = ROW * swings.len() as f64 + 24.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"what each input does to the saving\">"
    );
    for (idx, swing) in swings.iter().enumerate() {
        let y = ROW * idx as f64;
        let (from, to) = (x(swing.saving.0.min(swing.saving.1)), x(swing.saving.0.max(swing.saving.1)));
        write!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\"/>",
            LABELS - 8.0,
            y + 17.0,
            escaped(&swing.label),
            y + 5.0,
            (to - from).max(1.0)
        )
        .unwrap_or_default();
    }
    for (class, at, label) in [("zero", 0.0, "0".to_owned()), ("target", odds.target, percent(odds.target))] {
        write!(
            svg,
            "<line class=\"{class}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{1}\"/><text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\">{label}</text>",
            x(at),
            height - 22.0,
            height - 6.0
        )
        .unwrap_or_default();
    }
    svg + "</svg>\n"
}

fn months(page: &mut String, costed: &Costed) -> std::fmt::Result {
    let paid = |side: &str| -> Vec<f64> {
        let value = |month| {
            costed.month(month, &format!("{side}_paid")).and_then(|cell| cell.value.as_ref().map(super::Exact::to_f64))
        };
        (1..=costed.months).map_while(value).collect()
    };
    let (baseline, candidate) = (paid("baseline"), paid("candidate"));
    if baseline.len() < 2 || candidate.len() < 2 {
        return Ok(());
    }
    let most = baseline.iter().chain(&candidate).copied().fold(1e-9, f64::max);
    let line = |class: &str, values: &[f64]| {
        let points = values.iter().enumerate().map(|(idx, value)| {
            format!(
                "{:.1},{:.1}",
                10.0 + (WIDTH - 20.0) * idx as f64 / (values.len() - 1) as f64,
                190.0 - 180.0 * value / most
            )
        });
        format!("<polyline class=\"{class}\" points=\"{}\"/>", points.collect::<Vec<_>>().join(" "))
    };
    writeln!(
        page,
        "<h2>Paid until then</h2>\n<svg viewBox=\"0 0 {WIDTH} 215\" role=\"img\" aria-label=\"what has been paid by month\">{}{}<text x=\"10\" y=\"208\">month 1</text>\
         <text x=\"{}\" y=\"208\" text-anchor=\"end\">month {}</text><text x=\"10\" y=\"12\">${most:.0}</text></svg>\n\
         <p class=\"small\"><b class=\"one\">━</b> {} <b class=\"other\">━</b> {}, the change included</p>",
        line("one", &baseline),
        line("other", &candidate),
        WIDTH - 10.0,
        costed.months,
        escaped(&costed.sides[0]),
        escaped(&costed.sides[1])
    )
}

fn scenarios(page: &mut String, costed: &Costed) -> std::fmt::Result {
    if costed.scenarios.is_empty() {
        return Ok(());
    }
    let table = ScenarioTable::of(costed);
    page.push_str("<h2>If prices and volumes go another way</h2>\n");
    if let Some(same) = table.same() {
        writeln!(page, "<p>{}</p>", escaped(&same))?;
    }
    let heads: String = table.heads.iter().map(|head| format!("<th class=\"n\">{}", escaped(head))).collect();
    writeln!(page, "<table><tr><th>scenario{heads}<th>what is other")?;
    for (scenario, row) in costed.scenarios.iter().zip(&table.rows) {
        let cells: String = row.iter().map(|cell| format!("<td class=\"n\">{cell}")).collect();
        let changes: Vec<String> = scenario.changes.iter().map(|(id, value)| format!("{id} = {value}")).collect();
        writeln!(
            page,
            "<tr><td>{}{cells}<td class=\"small e\">{}",
            escaped(&scenario.name),
            escaped(&changes.join(", "))
        )?;
    }
    page.push_str("</table>\n");
    Ok(())
}

/// Scenarios beside each other: what differs in a column each, and what is the same in all of them said once.
#[derive(Debug)]
pub struct ScenarioTable {
    /// What the columns are.
    pub heads: Vec<String>,
    /// A row for each scenario, in their order.
    pub rows: Vec<Vec<String>>,
    same: Vec<String>,
}

impl ScenarioTable {
    /// That of a study.
    #[must_use]
    pub fn of(costed: &Costed) -> ScenarioTable {
        let months = costed.months;
        let heads = [
            "saving for a successful task in month 1".to_owned(),
            format!("saved in {months} months, the change paid, $"),
            "the same at today's worth, $".to_owned(),
            "paid back in month".to_owned(),
        ];
        let all: Vec<[String; 4]> = costed.scenarios.iter().map(scenario_words).collect();
        let is_same = |idx: usize| all.len() > 1 && all.iter().all(|row| row[idx] == all[0][idx]);
        let (same, differs): (Vec<usize>, Vec<usize>) = (0..heads.len()).partition(|idx| is_same(*idx));
        ScenarioTable {
            heads: differs.iter().map(|idx| heads[*idx].clone()).collect(),
            rows: all.iter().map(|row| differs.iter().map(|idx| row[*idx].clone()).collect()).collect(),
            same: same.iter().map(|idx| format!("{}: {}", heads[*idx], all[0][*idx])).collect(),
        }
    }

    /// What is the same in every scenario; `None` where nothing is.
    #[must_use]
    pub fn same(&self) -> Option<String> {
        (!self.same.is_empty())
            .then(|| format!("In every one of these, by the worksheet's own values, {}.", self.same.join("; ")))
    }
}

/// What a scenario comes to: the saving, dollars over the horizon and at today's worth, and the month.
fn scenario_words(scenario: &Scenario) -> [String; 4] {
    let unknown = || "unknown".to_owned();
    let money = |value: &Option<super::Exact>| value.as_ref().map_or_else(unknown, |value| value.rounded(0, 0));
    let month = match scenario.month.as_ref().map(|month| month.rounded(0, 0)) {
        Some(month) if month == "0" => "never".to_owned(),
        month => month.unwrap_or_else(unknown),
    };
    let saving = scenario.saving.as_ref().map_or_else(unknown, |saving| percent(saving.to_f64()));
    [saving, money(&scenario.saved), money(&scenario.present_worth), month]
}

fn cells(page: &mut String, costed: &Costed) -> std::fmt::Result {
    page.push_str("<h2>Every figure</h2>\n<details><summary>Show</summary>\n<table><tr><th>id<th>what<th class=\"n\">value<th>unit<th>from<th>day<th>evidence or formula\n");
    for cell in costed.book.cells() {
        let spread = cell.spread.as_ref().map(|spread| format!(" ({})", spread.words())).unwrap_or_default();
        writeln!(
            page,
            "<tr><td>{}<td>{}<td class=\"n\">{}{}<td>{}<td>{}<td>{}<td class=\"small e\">{}",
            escaped(&cell.id),
            escaped(&cell.label),
            cell.shown().unwrap_or_else(|| "unknown".to_owned()),
            escaped(&spread),
            escaped(cell.unit),
            cell.source.provenance.as_str(),
            cell.source.date,
            escaped(&cell.source.evidence)
        )?;
    }
    page.push_str("</table></details>\n");
    Ok(())
}

/// Text as it may stand in a page.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tco::odds::Draw;
    use crate::tco::samples::{linear, paid_back, seen, support, uncertain};
    use crate::tco::{Study, model};

    fn costed(study: &Study) -> Costed {
        Costed::new(study, model(study), Draw { draws: 2_000, seed: 1 })
    }

    #[test]
    fn sentences_say_what_it_comes_to() {
        let said = sentences(&costed(&paid_back())).join("\n");
        assert!(said.contains("The change has paid for itself in month 9."), "{said}");
        assert!(said.contains("not from counted cases"), "{said}");
        let mut rehearsed = paid_back();
        rehearsed.tasks.source.evidence = "eval run parity, answers of a simulated provider among them".to_owned();
        let rehearsed = costed(&rehearsed);
        assert!(sentences(&rehearsed)[0].starts_with("SIMULATED: 1 figure is"), "{:?}", sentences(&rehearsed));
        assert!(
            html(&rehearsed).contains("<h1>SIMULATED · Cost of") && !html(&costed(&paid_back())).contains("SIMULATED")
        );
        let said = sentences(&costed(&linear())).join("\n");
        assert!(said.contains("58.1 % dearer") && said.contains("the target is missed"), "{said}");
        assert!(said.contains("P10 to P90: 58.1 % to 58.1 % dearer"), "{said}");
        assert!(said.contains("does not pay for itself within 12 months"), "{said}");
        let mut unknown = uncertain();
        unknown.tasks.value = None;
        assert_eq!(
            sentences(&costed(&unknown)),
            ["Not known: 1 figure has to be filled in before anything can be said."]
        );
    }

    #[test]
    fn a_month_that_is_dearer_beside_a_task_that_is_cheaper_says_why() {
        // Ten attempts' worth of fixed costs more, and nine in ten right in place of four.
        let mut study = support(seen(450, 500));
        study.baseline.first_pass = seen(200, 500);
        study.candidate.attempt = study.baseline.attempt.clone();
        let mut costed = costed(&study);
        let mut odds = costed.odds.take().unwrap();
        let total = |side| costed.cell(side, "total").unwrap().value.as_ref().unwrap().to_f64();
        let is_dearer = total(1) > total(0);
        odds.saving.p50 = if is_dearer { 0.011 } else { -0.011 };
        let said = a_month(&costed, &odds).unwrap();
        assert!(said.contains("go different ways") && said.contains("the target is for a successful task"), "{said}");
        odds.saving.p50 = -odds.saving.p50;
        assert!(!a_month(&costed, &odds).unwrap().contains("different ways"));
    }

    #[test]
    fn cases_that_are_wanting_come_with_the_command_and_the_direction() {
        let mut costed = costed(&support(seen(450, 500)));
        let mut odds = costed.odds.take().unwrap();
        odds.needed = Needed::Cases { cases: 1008, more: 508, there: 500, reached: false };
        assert!(needed(&odds).contains("points to a target that is missed"), "{}", needed(&odds));
        let said = what_settles(&costed, &odds).unwrap();
        assert!(said.contains("crossfade eval run") && said.contains("--limit 1008"), "{said}");
        odds.needed = Needed::Cases { cases: 500, more: 0, there: 500, reached: false };
        assert_eq!(what_settles(&costed, &odds), None);
    }

    #[test]
    fn what_is_the_same_in_every_scenario_is_no_column() {
        let study = paid_back();
        let all = crate::tco::scenario::scenarios(&study, &std::collections::BTreeMap::new()).unwrap();
        let one = all[0].clone();
        let table = ScenarioTable::of(&costed(&study).with_scenarios(all));
        assert_eq!(table.rows[0].len(), table.heads.len());
        assert!(table.heads.iter().any(|head| head.starts_with("saved in 12 months")), "{:?}", table.heads);
        let same = ScenarioTable::of(&costed(&study).with_scenarios(vec![one.clone(), one]));
        assert!(same.heads.is_empty() && same.same().unwrap().contains("paid back in month: 9"), "{same:?}");
    }

    #[test]
    fn what_is_uncertain_is_said_in_one_direction() {
        assert_eq!(span(-4.895, -2.228), "222.8 % to 489.5 % dearer");
        assert_eq!(span(-0.045, 0.361), "4.5 % dearer to 36.1 % cheaper");
        assert_eq!(span(0.1, 0.2), "10.0 % to 20.0 % cheaper");
    }

    #[test]
    fn cases_that_suffice_are_counted() {
        let mut study = support(seen(450, 500));
        study.baseline.first_pass = seen(200, 500);
        let costed = costed(&study);
        let odds = costed.odds.as_ref().unwrap();
        assert!(matches!(odds.needed, Needed::Cases { more: 0, there: 500, .. }), "{:?}", odds.needed);
        let said = needed(odds);
        assert!(said.ends_with("(there are enough: 500)."), "{said}");
    }

    #[test]
    fn the_page_needs_nothing_else_and_what_people_wrote_is_escaped() {
        let mut study = uncertain();
        study.candidate.name = "<script>alert(1)</script>".to_owned();
        let page = html(&costed(&study));
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
        // Odds, tornado, three break-evens, the fan, and what was paid.
        assert_eq!(page.matches("<svg").count(), 7);
        assert!(LineItem::ALL.iter().all(|item| page.contains(item.label())));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.912_345, 2_250.4, 3.0, 1e-7].map(short),
            ["0.000", "0.9123", "2250", "3.000", "0.000000100"]
        );
    }
}
