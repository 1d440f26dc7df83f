//! Reviewing blind: which of two answers is better, by keyboard alone. What is shown, to whom and on which side was decided when the panel was
//! opened; nothing on these pages says whose an answer is.

use maud::{Markup, html};
use operations::panels::{self, Next, OpenRequest, Opened, Progress, Request, SHARE, Verdict};
use operations::{OperationError, Role, rollouts};

use super::fields::{address, escape};
use super::frame::{self, table, token};
use super::words::{coded, count, inert, moment, percent, span_us};
use super::{PageAnswer, Visit};

/// What can be said: the key, the word on the wire, the words on the button.
const CHOICES: [(&str, &str, Verdict, &str); 4] = [
    ("1", "a", Verdict::A, "A is better"),
    ("2", "b", Verdict::B, "B is better"),
    ("3", "tie", Verdict::Tie, "Equally good"),
    ("4", "neither", Verdict::Neither, "Neither will do"),
];

/// Pairs of a panel that the form offers.
const OFFERED: u16 = 20;

/// The panels that have something for whoever looks, and all of them for who may see them.
pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let actor = visit.actor();
    let own = panels::mine(&visit.desk.reader(), &actor)?;
    let all = if visit.has(Role::Operator) { panels::list(&visit.desk.reader(), &actor)? } else { Vec::new() };
    let main = html! {
        h1 { "Review" }
        p.sub { "Pairs of answers, without whose they are: which is better?" }
        (reader(visit, "/review"))
        @if own.is_empty() && all.is_empty() {
            (frame::empty("No panel is open for you: it names its reviewers by the names of their keys.", "crossfade panel open NAME --rollout ROLLOUT --reviewer YOU"))
        }
        @if visit.has(Role::Operator) { (to_open(visit)?) }
        @if !own.is_empty() {
            h2 { "For you" }
            ul { @for (panel, progress) in &own { li { a href=(at(visit, panel)) { bdi { (panel) } } " – " (far(*progress)) } } }
        }
        @if !all.is_empty() {
            (table("Every panel", &["Panel", "Opened", "By", "Reviewers", ""], &html! {
                @for panel in &all {
                    tr {
                        td { bdi { (panel.panel) } } td { (moment(panel.at_us)) } td { bdi { (panel.actor) } }
                        td.wide { @for (idx, (reviewer, progress)) in panel.reviewers.iter().enumerate() { @if idx > 0 { "; " } bdi { (reviewer) } " " (far(*progress)) } }
                        td { a href=(format!("/review/{}/result", escape(&panel.panel))) { "Result" } }
                    }
                }
            }))
        }
    };
    frame::page(visit, "Review", &main)
}

/// What a new panel is to be: of which rollout, and who judges.
fn to_open(visit: &Visit<'_>) -> Result<Markup, OperationError> {
    let started = rollouts::list(&visit.desk.reader())?;
    if started.is_empty() {
        return Ok(
            html! { p.hint { "Pairs to review come while a rollout is in shadow: start one, then open a panel here." } },
        );
    }
    let chosen = visit.query.get("rollout").unwrap_or_default();
    let own = visit.actor().name;
    let own = panels::reviewer_name(&own);
    Ok(html! {
        details.card open[!chosen.is_empty()] {
            summary { "Open a panel" }
            p { "Pairs are drawn now; whose answer stands on which side is told nobody." }
            form.filter method="post" action="/review" {
                (token(visit))
                label { "Name" input name="panel" required pattern="[A-Za-z0-9._\\-]+" title="Letters, digits, -, _ and ." autocomplete="off" spellcheck="false"; }
                label { "Rollout" select name="rollout" { @for line in &started { option value=(line.name) selected[line.name == chosen] { (line.name) } } } }
                label { "Reviewers, by the names of their keys" input name="reviewers" required value=(own) autocomplete="off" spellcheck="false"; }
                label { "Pairs" input name="pairs" type="number" min="1" max="1000" required value=(OFFERED); }
                label { "Part that everybody judges" input name="overlap" type="number" min="0" max="1" step="any" required value=(SHARE); }
                label { "Part that is farthest apart" input name="disagreeing" type="number" min="0" max="1" step="any" required value=(SHARE); }
                (frame::whoever(visit, "Who opens it"))
                button { "Open the panel" }
            }
        }
    })
}

/// Opens a panel, and says what came of it.
pub(super) fn open(visit: &Visit<'_>) -> PageAnswer {
    let text = |name: &str| visit.form.text(name).unwrap_or_default();
    let number = |name: &str| {
        let wrong = || OperationError::Invalid(format!("`{name}` wants a number, not `{}`", text(name)));
        text(name).parse::<f64>().map_err(|_| wrong())
    };
    let pairs = text("pairs").parse().map_err(|_| {
        OperationError::Invalid(format!("`pairs` wants a whole number up to {}, not `{}`", u16::MAX, text("pairs")))
    })?;
    let reviewers = text("reviewers").split(',').map(str::trim).filter(|name| !name.is_empty());
    let request = OpenRequest {
        panel: text("panel").to_owned(),
        rollout: text("rollout").to_owned(),
        reviewers: reviewers.map(str::to_owned).collect(),
        pairs: Some(pairs),
        overlap: Some(number("overlap")?),
        disagreeing: Some(number("disagreeing")?),
        ..OpenRequest::default()
    };
    let opened = panels::open_here(visit.desk, &visit.actor(), operations::reviews::now(), &request)?;
    let main = html! {
        h1 { "The panel " bdi { (opened.panel) } " is open" }
        (came_of(&opened))
        h2 { "Who judges" }
        ul { @for reviewer in &request.reviewers { li { bdi { (reviewer) } } } }
        p { a href=(format!("/review/{}", escape(&opened.panel))) { "Judge the first pair" } " · " a href="/review" { "All panels" } }
    };
    frame::page(visit, &format!("Panel {}", opened.panel), &main)
}

fn came_of(opened: &Opened) -> Markup {
    html! {
        p { (count(opened.pairs as u64)) " of " (count(opened.candidates as u64)) " pairs, " (count(opened.items as u64)) " judgements." }
        @if !opened.short_of.is_empty() {
            div.notice {
                p { "Fewer than the " (opened.asked) " that were asked for:" }
                ul { @for why in &opened.short_of { li { (coded(why)) } } }
            }
        }
    }
}

fn far(progress: Progress) -> String {
    format!("{} of {}", progress.judged, progress.of)
}

/// Where nobody's name is known by a key, the reader says it.
fn reader(visit: &Visit<'_>, path: &str) -> Markup {
    html! {
        @if visit.is_nameless() {
            form.filter method="get" action=(path) {
                label { "Who reviews" input name="as" value=(visit.query.get("as").unwrap_or_default()) autocomplete="off"; }
                button { "That is me" }
            }
        }
    }
}

fn at(visit: &Visit<'_>, panel: &str) -> String {
    let named = visit.form.text("as").or_else(|| visit.query.text("as"));
    let named: Vec<_> = named.map(|name| ("as".to_owned(), name.to_owned())).into_iter().collect();
    address(&format!("/review/{}", escape(panel)), &named)
}

/// The next pair of whoever looks.
pub(super) fn next(visit: &Visit<'_>) -> PageAnswer {
    let panel = visit.name();
    let next = panels::next(visit.desk.keys.database(), &visit.actor(), panel, operations::reviews::now())?;
    let main = html! {
        h1 { "Review: " bdi { (panel) } }
        @match &next {
            None => { p.notice { "All of yours are judged. Thank you." } p { a href="/review" { "All panels" } } }
            Some(next) => (pair(visit, next)),
        }
    };
    frame::page(visit, &format!("Review {panel}"), &main)
}

fn pair(visit: &Visit<'_>, next: &Next) -> Markup {
    html! {
        div.review {
            p { (far(next.progress)) " judged " progress max=(next.progress.of) value=(next.progress.judged) aria-label="judged" {} }
            form method="post" action=(at(visit, &next.panel)) {
                (token(visit))
                input type="hidden" name="item" value=(next.item);
                @if let Some(name) = visit.query.text("as") { input type="hidden" name="as" value=(name); }
                div.choices role="group" aria-label="Which is better" {
                    @for (key, word, _, words) in CHOICES { button name="verdict" value=(word) data-key=(key) aria-keyshortcuts=(key) { (words) kbd { (key) } } }
                }
            }
            h2 { "Asked" }
            pre.body tabindex="0" role="region" aria-label="Asked" { (inert(&next.question)) }
            div.answers {
                div { h2 { "A" } pre.body tabindex="0" role="region" aria-label="Answer A" { (inert(&next.a)) } }
                div { h2 { "B" } pre.body tabindex="0" role="region" aria-label="Answer B" { (inert(&next.b)) } }
            }
        }
    }
}

/// Takes a verdict, and shows the next pair.
pub(super) fn judge(visit: &Visit<'_>) -> PageAnswer {
    let word = visit.form.text("verdict").unwrap_or_default();
    let verdict = CHOICES.iter().find(|(_, one, _, _)| *one == word).map(|(_, _, verdict, _)| *verdict);
    let verdict =
        verdict.ok_or_else(|| OperationError::Invalid(format!("`{word}` is no verdict: press 1, 2, 3 or 4")))?;
    let request =
        Request { item: visit.form.text("item").map(str::to_owned), verdict: Some(verdict), ..Request::default() };
    let now = operations::reviews::now();
    panels::judge(visit.desk.keys.database(), &visit.actor(), (visit.name(), now), &request)?;
    Ok(frame::see(&at(visit, visit.name())))
}

/// What the verdicts come to.
pub(super) fn result(visit: &Visit<'_>) -> PageAnswer {
    let outcome = panels::result(&visit.desk.reader(), &visit.actor(), visit.name())?;
    let sum = &outcome.summary;
    let of = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
    let main = html! {
        h1 { "Result of the panel " bdi { (outcome.panel) } }
        dl.facts {
            div { dt { "Win rate of the candidate" } dd { (sum.win_rate.map_or_else(|| "–".to_owned(), percent))
                @if let Some((low, high)) = sum.win_rate_interval { " [" (percent(low)) ", " (percent(high)) "]" } } }
            div { dt { "Wins, ties, losses" } dd { (sum.wins) ", " (sum.ties) ", " (sum.losses) " of " (sum.n_pairs) " pairs" } }
            div { dt { "Verdicts" } dd { (count(sum.n_verdicts)) " of " (count(outcome.items)) } }
            div { dt { "Neither will do" } dd { (sum.neither) } }
            div { dt { "Agreement (Fleiss' kappa)" } dd { (of(sum.fleiss.kappa)) " over " (sum.fleiss.n_pairs) " pairs" } }
            div { dt { "Chose A" } dd { (sum.chose_a.0) " of " (sum.chose_a.1) } }
            div { dt { "Median time of a verdict" } dd { (sum.median_time_us.map_or_else(|| "–".to_owned(), span_us)) } }
        }
        @if sum.n_verdicts == 0 { p.none { "Nobody has judged yet: an interval without verdicts says nothing." } }
        @if !sum.cohen.is_empty() {
            (table("Each two reviewers", &["Reviewers", "Cohen's kappa", "Pairs"], &html! {
                @for one in &sum.cohen { tr { td { bdi { (one.reviewers.join(", ")) } } td.number { (of(one.kappa)) } td.number { (one.n_pairs) } } }
            }))
        }
        p { a href="/review" { "All panels" } }
    };
    frame::page(visit, &format!("Result of {}", outcome.panel), &main)
}
