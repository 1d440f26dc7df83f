//! As one page that needs nothing else: no script, no font, no link. What others wrote is escaped.

use super::{about, ended, ends, evidence, known, open_models, proof_of, used, vendor};
use crate::matrix::{Cell, Dependency, Matrix, Risk, Row, Standing};
use crate::sovereignty::Sovereignty;

const STYLE: &str = include_str!("page.css");
const POLICY: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">";

/// Places of a row that the page lists; the CSV and the JSON have all.
const MOST_PLACES: usize = 40;

/// The matrix as a page.
#[must_use]
pub fn html(matrix: &Matrix) -> String {
    let of = if matrix.of.is_empty() { String::new() } else { format!(" of {}", matrix.of.join(", ")) };
    let title = escaped(&format!("Replacement matrix{of}"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         {POLICY}\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p class=\"small\">{} · crossfade</p>\n",
        escaped(&matrix.date)
    );
    head(&mut page, matrix);
    dependencies(&mut page, matrix);
    if !matrix.rows.is_empty() {
        capabilities(&mut page, matrix);
    }
    services(&mut page, matrix);
    alternatives(&mut page, matrix);
    details(&mut page, matrix);
    rules(&mut page, matrix);
    page + "</body>\n</html>\n"
}

fn head(page: &mut String, matrix: &Matrix) {
    *page += &format!("<p class=\"say\">{}</p>\n", code(&matrix.headline));
    if let Some(traffic) = &matrix.traffic {
        *page += &format!("<p>{}</p>\n", escaped(&traffic.words()));
    }
    if matrix.rows.is_empty() {
        return;
    }
    let counts = matrix.counts;
    *page += "<div class=\"tiles\">\n";
    for (standing, n, words) in [
        (
            Standing::Equivalent,
            counts.equivalent,
            "the interface, measured, is the same; how good answers are is for an evaluation",
        ),
        (Standing::Degraded, counts.degraded, "measured: it is there and differs"),
        (Standing::None, counts.none, "measured: not there, a workaround is needed"),
        (Standing::Unproved, counts.unproved, "nobody measured it, so nothing is claimed"),
    ] {
        let word = standing.as_str();
        *page += &format!("<div class=\"{word}\"><b>{n}</b>{word}<br><span class=\"small\">{words}</span></div>\n");
    }
    *page += "</div>\n";
    if matrix.alternatives.iter().all(|alternative| alternative.probe.is_none()) {
        let simulated: Vec<String> =
            matrix.alternatives.iter().filter(|of| of.simulated).map(|of| of.name.clone()).collect();
        let what = match simulated.is_empty() {
            true => "No report of a probe stands behind this page: every cell is unproved.".to_owned(),
            false => format!(
                "The report of {} is of a simulated server, which makes up its answers. It counts for nothing: every cell is unproved.",
                some(&simulated, 4)
            ),
        };
        *page += &format!(
            "<p class=\"warn\">{what} <code>crossfade conformance TARGET -o probe.json</code> \
                  asks a server, and <code>--conformance probe.json</code> brings what it found here.</p>\n"
        );
    }
}

fn dependencies(page: &mut String, matrix: &Matrix) {
    if matrix.dependencies.is_empty() {
        return;
    }
    *page += "<h2>Vendor by vendor</h2>\n<div class=\"wide\"><table>\n<tr><th>Vendor</th><th class=\"n\">Call sites</th><th>Models</th><th>Replaced by</th>\
              <th>Effort</th><th>Risk</th><th>Sovereignty today</th><th>After what is proved</th><th>At best</th><th>Has an end</th></tr>\n";
    for of in &matrix.dependencies {
        *page += &format!(
            "<tr><td class=\"k\"><b>{}</b><br><span class=\"small\">{}</span></td><td class=\"n\">{}{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escaped(&vendor(of)),
            escaped(&of.owners.join(" ")),
            of.sites,
            requests(of.requests),
            some(&of.models, 4),
            counted(of),
            if of.needs.is_empty() { "–" } else { of.effort.as_str() },
            risk(of.risk),
            steps(Some(&of.today)),
            steps(Some(&of.after)),
            steps(of.at_best.as_ref()),
            escaped(&ended(of, &matrix.date)),
        );
    }
    *page += "</table></div>\n<p class=\"small\">Sovereignty: 1 pure API, 2 API with a way out, 3 hybrid, 4 self-hosted with a vendor standing by, \
              5 fully self-hosted.</p>\n";
    let open = open_models(matrix);
    if !open.is_empty() {
        *page += &format!("<p class=\"small\">{}</p>\n", escaped(&open));
    }
}

fn requests(n: u64) -> String {
    if n == 0 { String::new() } else { format!("<br><span class=\"small\">{n} requests</span>") }
}

/// How many rows of a vendor are what, as badges.
fn counted(of: &Dependency) -> String {
    let counts = of.counts;
    let all = [
        (Standing::Equivalent, counts.equivalent),
        (Standing::Degraded, counts.degraded),
        (Standing::None, counts.none),
        (Standing::Unproved, counts.unproved),
    ];
    let one = |(standing, n): &(Standing, usize)| {
        let word = standing.as_str();
        format!("<span class=\"s {word}\">{n} {word}</span>")
    };
    let shown: Vec<String> = all.iter().filter(|(_, n)| *n > 0).map(one).collect();
    if shown.is_empty() { "<span class=\"small\">no call of it was seen</span>".to_owned() } else { shown.join(" ") }
}

/// Five steps, of which as many are filled as the class says.
fn steps(of: Option<&Sovereignty>) -> String {
    let Some(of) = of else { return "–".to_owned() };
    let Some(class) = of.class else { return format!("<span class=\"small\">{}</span>", code(&of.means)) };
    let boxes: String = (1..=5).map(|step| if step <= class { "<i class=\"on\"></i>" } else { "<i></i>" }).collect();
    let words = of.means.split(':').next().unwrap_or_default();
    format!(
        "<span class=\"k\"><span class=\"steps\" title=\"{}\">{boxes}</span><b>{class}</b></span><br><span class=\"small\">{}</span>",
        escaped(&of.means),
        escaped(words)
    )
}

fn capabilities(page: &mut String, matrix: &Matrix) {
    *page +=
        "<h2>Capability by capability</h2>\n<div class=\"wide\"><table>\n<tr><th>What is used</th><th>How much</th>";
    for alternative in &matrix.alternatives {
        *page += &format!(
            "<th>{}<br><span class=\"small\">{}</span></th>",
            escaped(&alternative.name),
            escaped(&about(alternative))
        );
    }
    *page += "<th>Effort</th><th>Risk</th></tr>\n";
    for row in &matrix.rows {
        *page += &format!(
            "<tr><td>{}<br><span class=\"small\"><a id=\"row-{1}\"></a><code>{1}</code></span></td><td>{2}<br><span class=\"small\">{3}{4}</span></td>",
            code(&row.what),
            escaped(&row.id()),
            used(row, matrix.traffic.is_some()),
            escaped(&row.vendors.join(", ")),
            if row.note.is_empty() { String::new() } else { format!("<br>{}", escaped(&row.note)) }
        );
        for cell in &row.cells {
            *page += &one_cell(row, cell);
        }
        *page += &format!("<td>{}</td><td class=\"k\">{}</td></tr>\n", row.effort.as_str(), risk(row.risk));
    }
    *page += "</table></div>\n";
}

/// A badge, and what differs or what to do.
fn one_cell(row: &Row, cell: &Cell) -> String {
    let is_best = row.best.as_ref() == Some(&cell.alternative) && cell.standing <= Standing::Degraded;
    let class = if is_best { " class=\"best\"" } else { "" };
    let word = cell.standing.as_str();
    let repaired = if cell.repaired { " put right by the gateway" } else { "" };
    let says = match (cell.standing, &cell.workaround) {
        (Standing::Equivalent | Standing::Degraded, Some(more)) if cell.how.is_empty() || cell.repaired => more.clone(),
        (Standing::Degraded, Some(more)) => format!("{}; {more}", cell.how),
        (Standing::Degraded, _) if !cell.repaired => cell.how.clone(),
        (Standing::None, Some(workaround)) => format!("instead: {workaround}"),
        (Standing::Unproved, _) => {
            cell.expected.as_ref().map(|known| format!("said of its kind: {}", known.says)).unwrap_or_default()
        }
        _ => String::new(),
    };
    format!(
        "<td{class}><span class=\"s {word}\">{word}</span><span class=\"small\">{repaired} {}</span></td>",
        code(&cut(&says))
    )
}

fn risk(of: Risk) -> String {
    let word = of.as_str();
    format!("<span class=\"risk-{word}\">{word}</span>")
}

fn services(page: &mut String, matrix: &Matrix) {
    if matrix.services.is_empty() {
        return;
    }
    *page += "<h2>Other hosted AI services that the code uses</h2>\n<p class=\"small\">They are no vendor's language models, so no row above is of them, \
              and nothing is claimed of what could replace them. Who leaves the vendor leaves them, too.</p>\n\
              <div class=\"wide\"><table>\n<tr><th>Service</th><th>Places</th></tr>\n";
    for service in &matrix.services {
        let places: Vec<String> = service.places.iter().map(|place| format!("{}:{}", place.path, place.line)).collect();
        *page += &format!(
            "<tr><td class=\"k\"><b>{}</b></td><td class=\"small\">{}</td></tr>\n",
            escaped(&service.name),
            some(&places, MOST_PLACES)
        );
    }
    *page += "</table></div>\n";
}

fn alternatives(page: &mut String, matrix: &Matrix) {
    *page += "<h2>Alternatives, and what proves them</h2>\n<table>\n<tr><th>Alternative</th><th>What it is</th><th>Proof</th></tr>\n";
    for alternative in &matrix.alternatives {
        *page += &format!(
            "<tr><td><b>{}</b></td><td>{}</td><td>{}</td></tr>\n",
            escaped(&alternative.name),
            escaped(&about(alternative)),
            code(&proof_of(alternative))
        );
    }
    *page += "</table>\n";
}

/// Row by row: where it is used, and what each cell rests on.
fn details(page: &mut String, matrix: &Matrix) {
    if matrix.rows.is_empty() {
        return;
    }
    *page += "<h2>What each row rests on</h2>\n";
    for row in &matrix.rows {
        *page += &format!(
            "<details><summary><b>{}</b> <span class=\"small\">{} · {} · effort {} · risk {}</span></summary>\n",
            code(&row.what),
            used(row, matrix.traffic.is_some()),
            row.standing.as_str(),
            row.effort.as_str(),
            row.risk.as_str()
        );
        if !row.note.is_empty() {
            *page += &format!("<p>{}.</p>\n", escaped(&row.note));
        }
        if !row.models.is_empty() {
            *page += &format!("<p>Models: {}.</p>\n", some(&row.models, 12));
        }
        if !row.ends.is_empty() {
            *page += &format!("<p>Has an end: {}.</p>\n", escaped(&ends(&row.ends, &matrix.date)));
        }
        *page += "<table>\n<tr><th>Alternative</th><th>Standing</th><th>What is known</th><th>Rows of the report</th><th>Without it</th><th>Change</th></tr>\n";
        for cell in &row.cells {
            *page += &format!(
                "<tr><td class=\"k\">{}</td><td class=\"k\"><span class=\"s {1}\">{1}</span></td><td>{2}</td><td>{3}</td><td>{4}</td><td class=\"k\">{5}, {6}</td></tr>\n",
                escaped(&cell.alternative),
                cell.standing.as_str(),
                code(&known(cell)),
                escaped(&evidence(cell)),
                code(cell.workaround.as_deref().unwrap_or_default()),
                cell.change.as_str(),
                cell.effort.as_str()
            );
        }
        *page += "</table>\n";
        let places: Vec<String> = row.places.iter().map(|place| format!("{}:{}", place.path, place.line)).collect();
        if !places.is_empty() {
            *page += &format!("<p class=\"small\">{}</p>\n", some(&places, MOST_PLACES));
        }
        *page += "</details>\n";
    }
}

fn rules(page: &mut String, matrix: &Matrix) {
    *page += "<h2>Rules</h2>\n<ul>\n";
    for (name, rule) in &matrix.rules {
        *page += &format!("<li><b>{}</b>: {}</li>\n", escaped(name), code(rule));
    }
    *page += "</ul>\n";
}

/// The first of a list as code, and how many more there are.
fn some(all: &[String], most: usize) -> String {
    let shown: Vec<String> = all.iter().take(most).map(|one| format!("<code>{}</code>", escaped(one))).collect();
    let more = all.len().saturating_sub(most);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// A sentence that fits a cell; the details have all of it.
fn cut(text: &str) -> String {
    const MOST: usize = 160;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}

/// Text with what stands between backticks as code.
fn code(text: &str) -> String {
    let mut html = String::new();
    for (idx, piece) in escaped(text).split('`').enumerate() {
        html += match idx {
            0 => "",
            idx if idx % 2 == 1 => "<code>",
            _ => "</code>",
        };
        html += piece;
    }
    if text.matches('`').count() % 2 == 1 { html + "</code>" } else { html }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
