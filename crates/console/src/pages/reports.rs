//! Decision reports: made when somebody asks, page one here, the rest as the pages and files that `crossfade report` writes.

use maud::html;
use operations::reports::{self, Asked, File, KEPT, Kept};

use super::fields::escape;
use super::frame::{self, table, token};
use super::words::{coded, moment};
use super::{PageAnswer, Visit};

/// Files that are offered, with their words.
const FILES: [(&str, &str); 5] = [
    ("report.html", "All pages, to print"),
    ("appendix.html", "Appendix: every figure and its rows"),
    ("report.md", "Markdown"),
    ("report.json", "JSON"),
    ("bundle.tar", "Bundle, for `crossfade report verify`"),
];

pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let kept = reports::list(visit.desk);
    let main = html! {
        h1 { "Decision report" }
        p.sub { "Stay, switch or hybridize, workload by workload, by stated rules from what is on record now. Making one reads calls of the last weeks and may take a while." }
        form.filter method="post" action="/reports" {
            (token(visit))
            label { "Workload or route (all where it is empty)" input name="workload" value=(visit.query.get("workload").unwrap_or_default()) autocomplete="off" spellcheck="false"; }
            label { "Candidate (that of the rollout where it is empty)" input name="candidate" value=(visit.query.get("candidate").unwrap_or_default()) autocomplete="off" spellcheck="false"; }
            button { "Make a report" }
        }
        @if kept.is_empty() { (frame::empty("None has been made since this gateway began.", "crossfade report -o report")) }
        @else {
            (table(&format!("Made since this gateway began; the newest {KEPT} are kept until it ends"), &["Made", "Of", "By", "What it says", ""], &html! {
                @for one in &kept { tr { td { (moment(one.made.at_us)) } td { bdi { (of(one)) } } td { bdi { (one.actor) } } td.wide { bdi { (one.made.headline) } }
                    td { a href=(format!("/reports/{}", one.id)) { "Page one" } } } }
            }))
        }
        p.hint { "Demands are the config's " code { "report.scorecard" } "; worksheets are those of " code { "tco.worksheets" } ". Outcomes, probes and matrices are files: "
            code { "crossfade report --outcomes FILE --conformance FILE --matrix FILE" } " takes them." }
    };
    frame::page(visit, "Decision report", &main)
}

fn of(kept: &Kept) -> String {
    let of = kept.asked.workload.clone().unwrap_or_else(|| "everything".to_owned());
    match &kept.asked.candidate {
        Some(candidate) => format!("{of}, to {candidate}"),
        None => of,
    }
}

pub(super) fn make(visit: &Visit<'_>) -> PageAnswer {
    let text = |name: &str| visit.form.text(name).map(str::to_owned);
    let asked = Asked { workload: text("workload"), candidate: text("candidate") };
    let kept = reports::make(visit.desk, &visit.actor(), asked)?;
    Ok(frame::see(&format!("/reports/{}", kept.id)))
}

pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let kept = reports::show(visit.desk, visit.name())?;
    let base = format!("/reports/{}", escape(&kept.id));
    // Page one goes to the appendix as to a file beside it.
    let page_one = kept.made.page_one.replace("href=\"appendix.html", &format!("href=\"{base}/appendix.html"));
    let main = html! {
        p.links { a href="/reports" { "All reports" } @for (name, words) in FILES { " · " a href=(format!("{base}/{name}")) { (coded(words)) } } }
        div.paper { (frame::scrolled("Decision report", &page_one)) }
        p.hint { "Evidence " code { (kept.made.evidence) } " · " @for one in &kept.made.decided { bdi { (one.title) } ": " (one.decision) ". " } }
    };
    frame::page(visit, "Decision report", &main)
}

pub(super) fn file(visit: &Visit<'_>) -> PageAnswer {
    let name = visit.names.get(1).map(String::as_str).unwrap_or_default();
    Ok(match reports::file(visit.desk, visit.name(), name)? {
        File::Page(document) => frame::document(&document),
        File::Bytes(bytes) => {
            let kind = match name.rsplit('.').next() {
                Some("json") => "application/json",
                Some("md") => "text/markdown; charset=utf-8",
                _ => "application/octet-stream",
            };
            frame::download(name, kind, bytes)
        }
    })
}
