//! Costs: what a successful task costs on both sides, how sure a saving is, what moves it and what would make it even; what if a figure were another
//! stands in the address, under the names that `crossfade tco run` takes.

mod figures;

use std::collections::BTreeMap;

use maud::{Markup, PreEscaped, html};
use operations::OperationError;
use operations::costing::{
    self, Costed, DRAWN, DRAWS, Draw, Exact, LineItem, Odds, Quantiles, Read, ScenarioTable, Sheet, Verdict, percent,
    rounded,
};

use super::fields::{address, escape};
use super::frame::{self, badge, table};
use super::words::coded;
use super::{PageAnswer, Visit};
use figures::to;

/// Inputs without a figure that are listed.
const MOST_ASKED: usize = 100;

pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let sheets = costing::list(visit.desk);
    let main = html! {
        h1 { "Costs" }
        p.sub { "What a successful task costs, all in, beside the other side, and how sure a saving is." }
        @if sheets.is_empty() {
            (frame::empty("The config names no worksheet and no rollout: a worksheet under `tco.worksheets` is studied here.", "crossfade tco init -o tco.yaml"))
        } @else { (table("What can be studied", &["Of", "From", ""], &html! {
            @for sheet in &sheets {
                tr { td { bdi { (sheet.name) } }
                    td.wide { @match &sheet.file { Some(file) => code { (file) }, None => "the record alone: a draft, whose other figures are unknown" } }
                    td { a href=(at(&sheet.name)) { "Study" } } }
            }
        })) }
        p { a href="/keys" { "What targets cost in the last 30 days" } }
    };
    frame::page(visit, "Costs", &main)
}

fn at(name: &str) -> String {
    format!("/costs/{}", escape(name))
}

/// What is asked: figures that are other, and the draws.
struct Asked {
    set: Vec<String>,
    draw: Draw,
}

impl Asked {
    fn of(visit: &Visit<'_>) -> Result<Asked, OperationError> {
        let wrong = |name: &str, text: &str, what: &str| {
            OperationError::Invalid(format!("`{name}` wants {what}, not `{text}`"))
        };
        let draws = match visit.query.text("draws") {
            None => DRAWS,
            Some(text) => {
                let draws = text.parse().ok().filter(|draws| DRAWN.contains(draws));
                draws.ok_or_else(|| {
                    wrong("draws", text, &format!("a number from {} to {}", DRAWN.start(), DRAWN.end()))
                })?
            }
        };
        let seed = match visit.query.text("seed") {
            None => 1,
            Some(text) => text.parse().map_err(|_| wrong("seed", text, "a whole number"))?,
        };
        let set = visit.query.all("set").into_iter().map(str::to_owned).collect();
        Ok(Asked { set, draw: Draw { draws, seed } })
    }

    fn figures(&self) -> Result<BTreeMap<String, Exact>, OperationError> {
        let one = |text: &String| {
            costing::assignment(text).map_err(|why| OperationError::Invalid(format!("`set={text}`: {why}")))
        };
        self.set.iter().map(one).collect()
    }

    /// The address with these figures.
    fn address(&self, name: &str, set: &[String]) -> String {
        let mut pairs: Vec<(String, String)> = set.iter().map(|one| ("set".to_owned(), one.clone())).collect();
        if self.draw.draws != DRAWS {
            pairs.push(("draws".to_owned(), self.draw.draws.to_string()));
        }
        if self.draw.seed != 1 {
            pairs.push(("seed".to_owned(), self.draw.seed.to_string()));
        }
        address(&at(name), &pairs)
    }

    /// The address with one figure more, or another value of it.
    fn with(&self, name: &str, (figure, value): (&str, &str)) -> String {
        let is_other = |one: &&String| one.split_once('=').is_none_or(|(id, _)| id.trim() != figure);
        let mut set: Vec<String> = self.set.iter().filter(is_other).cloned().collect();
        set.push(format!("{figure}={value}"));
        self.address(name, &set)
    }
}

pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let asked = Asked::of(visit)?;
    let figures = asked.figures()?;
    let (sheet, read) = costing::read(visit.desk, visit.name())?;
    let costed = costing::costed(&read.study, &figures, asked.draw).map_err(|unasked| {
        let whose = unasked.scenario.as_ref().map_or_else(
            || "the names of figures are on the page without it".to_owned(),
            |scenario| format!("that is asked by the scenario `{scenario}` of the worksheet"),
        );
        OperationError::Invalid(format!("{unasked}; {whose}"))
    })?;
    let title = format!("Cost of {}: {} beside {}", costed.name, costed.sides[1], costed.sides[0]);
    let main = html! {
        h1 { bdi { (title) } }
        (source(&sheet, &read, &costed))
        @if let Some(odds) = &costed.odds { p { (verdict(odds)) " a saving of " (percent(odds.target)) " is wanted, " (percent(odds.certainty)) " sure" } }
        (short(&costed))
        @for sentence in costing::sentences(&costed) { p { (coded(&sentence)) } }
        (what_if(&sheet.name, &asked))
        @for (caption, svg) in costing::plots(&costed) { figure.study tabindex="0" role="group" aria-label=(caption) { (PreEscaped(&svg)) figcaption { (caption) } } }
        @if let Some(odds) = &costed.odds { (moves(&sheet.name, &asked, odds)) }
        (figures::evens(&costed))
        (items(&costed))
        (scenarios(&costed))
        (unknown(&costed))
        (figures::every(&costed))
        @if sheet.file.is_none() { details { summary { "The draft, to fill in" } pre.body tabindex="0" role="region" aria-label="The draft" { (super::words::inert(&read.text)) } } }
    };
    frame::page(visit, "Cost", &main)
}

fn source(sheet: &Sheet, read: &Read, costed: &Costed) -> Markup {
    html! {
        p.sub { @match &sheet.file {
            Some(file) => { "Worksheet " code { (file) } ", of " (costed.date.to_string()) ": what " code { "crossfade tco run " (file) } " says." }
            None => { "A draft of what is on record; figures that only people know are unknown. Next: " code { "crossfade tco init --route " (sheet.name) " -o tco.yaml" } ", and name it under " code { "tco.worksheets" } "." }
        } }
        @if costing::simulated(costed).is_some() { p { (badge("warn", "simulated")) } }
        @if !read.said.is_empty() { details { summary { "Where the draft is from" } ul { @for words in &read.said { li { bdi { (words) } } } } } }
    }
}

fn verdict(odds: &Odds) -> Markup {
    let kind = match odds.verdict {
        Verdict::Reached => "good",
        Verdict::Missed => "bad",
        Verdict::Undecided => "warn",
    };
    badge(kind, odds.verdict.as_str())
}

/// The figures that decide, each with the way to what it is made of.
fn short(costed: &Costed) -> Markup {
    let own = |side: usize| {
        let cell = costed.cell(side, "cost_per_successful_task");
        cell.map_or_else(
            || html! { "unknown" },
            |cell| to(&cell.id, &rounded(cell, 6).map_or_else(|| "unknown".to_owned(), |shown| format!("${shown}"))),
        )
    };
    let money = |at: Quantiles| format!("${:.6} / ${:.6} / ${:.6}", at.p10, at.p50, at.p90);
    html! {
        dl.facts {
            div { dt { "A successful task at " bdi { (costed.sides[0]) } } dd { (own(0)) } }
            div { dt { "A successful task at " bdi { (costed.sides[1]) } } dd { (own(1)) } }
            @if let Some(odds) = &costed.odds {
                div { dt { "Saving, P10 / P50 / P90" } dd { (to("saving.share", &format!("{} / {} / {}", percent(odds.saving.p10), percent(odds.saving.p50), percent(odds.saving.p90)))) } }
                div { dt { "Likely to be cheaper" } dd { (percent(odds.cheaper)) } }
                div { dt { "Likely to save " (percent(odds.target)) " or more" } dd { (percent(odds.reaches)) } }
                div { dt { "Baseline, P10 / P50 / P90" } dd { (money(odds.baseline)) } }
                div { dt { "Candidate, P10 / P50 / P90" } dd { (money(odds.candidate)) } }
                div { dt { "Draws, seed" } dd { (super::words::count(odds.draws.into())) ", " (odds.seed) } }
            }
        }
    }
}

fn what_if(name: &str, asked: &Asked) -> Markup {
    html! {
        form.filter method="get" action=(at(name)) {
            @for (idx, one) in asked.set.iter().map(String::as_str).chain([""]).enumerate() {
                label { @if idx == 0 { "What if (FIGURE=VALUE)" } @else { "And if" }
                    input name="set" value=(one) placeholder="candidate.first_pass=0.92" autocomplete="off" spellcheck="false"; }
            }
            label { "Draws" input name="draws" value=(asked.draw.draws) inputmode="numeric"; }
            label { "Seed" input name="seed" value=(asked.draw.seed) inputmode="numeric"; }
            button { "Study" }
            @if !asked.set.is_empty() { a href=(asked.address(name, &[])) { "As it stands" } }
        }
    }
}

/// The inputs that move the saving; a click asks what if one were at its end.
fn moves(name: &str, asked: &Asked, odds: &Odds) -> Markup {
    if odds.tornado.is_empty() {
        return html! { p.none { "No input has a spread: every figure is taken for certain." } };
    }
    let end = |value: f64| format!("{value:.9}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let try_it =
        |id: &str, value: f64| html! { a href=(asked.with(name, (id, &end(value)))) { (figures::four(value)) } };
    table(
        "What moves the saving: a click asks what if the input were there",
        &["Input", "Its P10", "Its P90", "Saving there", "And there", "Of the uncertainty"],
        &html! {
            @for swing in &odds.tornado {
                tr {
                    td { (to(&swing.id, &swing.label)) " " span.hint { (swing.id) } } td.number { (try_it(&swing.id, swing.input.0)) } td.number { (try_it(&swing.id, swing.input.1)) }
                    td.number { (percent(swing.saving.0)) } td.number { (percent(swing.saving.1)) } td.number { (percent(swing.share)) }
                }
            }
        },
    )
}

fn items(costed: &Costed) -> Markup {
    let shown = |cell: Option<&costing::Cell>, places: u32| match cell {
        None => html! { "–" },
        Some(cell) => to(&cell.id, &rounded(cell, places).unwrap_or_else(|| "unknown".to_owned())),
    };
    let sums = [
        ("total", "Everything", 2),
        ("cost_per_successful_task", "For a successful task", 6),
        ("cost_per_accepted_answer", "For a right answer of the model", 6),
        ("cost_per_attempt", "For an attempt", 6),
    ];
    table(
        "A month, item by item, by the worksheet's own values",
        &["Item", &format!("{}, $", costed.sides[0]), &format!("{}, $", costed.sides[1])],
        &html! {
            @for item in LineItem::ALL {
                @let both = costed.item(item);
                tr { td { (item.label()) } td.number { (shown(both[0], 2)) } td.number { (shown(both[1], 2)) } }
            }
            @for (name, words, places) in sums {
                tr { th scope="row" { (words) } td.number { (shown(costed.cell(0, name), places)) } td.number { (shown(costed.cell(1, name), places)) } }
            }
        },
    )
}

fn scenarios(costed: &Costed) -> Markup {
    if costed.odds.is_none() || costed.scenarios.is_empty() {
        return html! {};
    }
    let found = ScenarioTable::of(costed);
    let heads: Vec<&str> =
        ["Scenario"].into_iter().chain(found.heads.iter().map(String::as_str)).chain(["What is other"]).collect();
    let changes = |scenario: &BTreeMap<String, Exact>| {
        let all: Vec<String> = scenario.iter().map(|(id, value)| format!("{id} = {value}")).collect();
        all.join(", ")
    };
    html! {
        @if let Some(same) = found.same() { p { bdi { (same) } } }
        (table("When prices and volumes go another way", &heads, &html! {
            @for (scenario, row) in costed.scenarios.iter().zip(&found.rows) {
                tr { td { bdi { (scenario.name) } } @for cell in row { td.number { (cell) } } td.wide { span.hint { (changes(&scenario.changes)) } } }
            }
        }))
    }
}

fn unknown(costed: &Costed) -> Markup {
    let cells: Vec<_> = costed.book.unknown().collect();
    html! {
        @if !cells.is_empty() {
            (table("Asked for: nothing is said before these are known", &["Figure", "What it is", "Unit", "Where"], &html! {
                @for cell in cells.iter().take(MOST_ASKED) { tr { td { code { (cell.id) } } td.wide { bdi { (cell.label) } } td { (cell.unit) } td { bdi { (cell.place()) } } } }
            }))
        }
    }
}
