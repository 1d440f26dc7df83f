//! A report as one HTML page that needs nothing else: no script, no font, no link. Everything a server said is escaped.

use std::fmt::Write as _;

use super::{Change, Comparison, DEFINITION, Evidence, Report, Row, Verdict};
use crate::report::POLICY;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #8884}\
th{font-weight:600}td.v{white-space:nowrap;font-weight:600}\
.equivalent{color:#1a7f37}.degraded{color:#9a6700}.none{color:#cf222e}.not_measured{color:#59636e}\
.worse{color:#cf222e}.better{color:#1a7f37}\
.score{font-size:2.2rem;font-weight:700}.small{color:#59636e;font-size:.85rem}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.6rem;border-radius:.3rem;margin:.3rem 0}\
@media(max-width:60rem){table{display:block;overflow-x:auto}}body{overflow-wrap:anywhere}table{overflow-wrap:normal}\
@media(prefers-color-scheme:dark){.equivalent,.better{color:#3fb950}.none,.worse{color:#ff7b72}.degraded{color:#d29922}.not_measured,.small{color:#9198a1}a{color:#79c0ff}}\
details{margin:.2rem 0}summary{cursor:pointer}";

/// The page of `report`, held against `against` when there is one; `config` is the snippet it advises.
pub fn page(report: &Report, against: Option<(&Report, &Comparison)>, config: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">{POLICY}\
         <title>Conformance of {0}</title><style>{STYLE}</style>\n<h1>Conformance of {0}</h1>\n",
        escaped(&report.subject)
    );
    // Writing to a String cannot fail.
    summary(&mut page, report).unwrap_or_default();
    if let Some((other, comparison)) = against {
        versus(&mut page, other, comparison).unwrap_or_default();
    }
    rows(&mut page, report, against).unwrap_or_default();
    write!(page, "<h2>What the config should say</h2>\n<pre>{}</pre>\n", escaped(config)).unwrap_or_default();
    evidence(&mut page, "Evidence", "", &report.evidence).unwrap_or_default();
    if let Some((other, _)) = against {
        evidence(&mut page, &format!("Evidence of {}", other.subject), "a", &other.evidence).unwrap_or_default();
    }
    page + "</html>\n"
}

fn summary(page: &mut String, report: &Report) -> std::fmt::Result {
    let score = report.score;
    let value = score.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
    writeln!(page, "<p class=\"score\">{value}</p>")?;
    writeln!(
        page,
        "<p>{} equivalent, {} degraded, {} none, {} not measured. Measured: {} of {} points.</p>",
        score.equivalent, score.degraded, score.none, score.not_measured, score.measured_points, score.all_points
    )?;
    if report.simulated {
        writeln!(page, "<p><strong>Simulated:</strong> the answers were made up.</p>")?;
    }
    writeln!(
        page,
        "<p class=\"small\">{} · model {} · declared as {} · {} requests in {:.1} s · Unix time {}<br>Score {}.</p>",
        escaped(&report.base_url),
        escaped(&report.model),
        report.kind,
        report.evidence.len(),
        seconds(report.took_ms),
        report.began_s,
        escaped(DEFINITION),
    )
}

#[expect(clippy::cast_precision_loss, reason = "a probe takes seconds, far below 2^53 milliseconds")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn versus(page: &mut String, other: &Report, comparison: &Comparison) -> std::fmt::Result {
    let score = other.score.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
    writeln!(
        page,
        "<p>Against <strong>{}</strong> (score {score}, model {}): worse in {}, better in {}, the same in {}, unknown in {}.</p>",
        escaped(&comparison.against),
        escaped(&other.model),
        comparison.worse,
        comparison.better,
        comparison.same,
        comparison.unknown,
    )
}

fn rows(page: &mut String, report: &Report, against: Option<(&Report, &Comparison)>) -> std::fmt::Result {
    let mut group = None;
    for (idx, row) in report.rows.iter().enumerate() {
        if group != Some(row.capability.group()) {
            if group.is_some() {
                writeln!(page, "</table>")?;
            }
            group = Some(row.capability.group());
            let more = if against.is_some() { "<th>against</th>" } else { "" };
            writeln!(
                page,
                "<h2>{}</h2>\n<table><tr><th>capability</th><th>found</th>{more}<th>seen</th><th>through the gateway</th></tr>",
                row.capability.group().as_str()
            )?;
        }
        let other = against.map(|(other, comparison)| {
            let verdict = other.row(row.capability).map_or(Verdict::NotMeasured, |row| row.verdict);
            (verdict, comparison.rows.get(idx).map_or(Change::Unknown, |(_, change)| *change))
        });
        one_row(page, row, other)?;
    }
    if group.is_some() { writeln!(page, "</table>") } else { Ok(()) }
}

fn one_row(page: &mut String, row: &Row, other: Option<(Verdict, Change)>) -> std::fmt::Result {
    let class = row.verdict.as_str().replace(' ', "_");
    write!(
        page,
        "<tr><td>{}<br><span class=\"small\">{}</span></td><td class=\"v {class}\">{}</td>",
        row.capability.id(),
        escaped(row.capability.what()),
        row.verdict.as_str()
    )?;
    if let Some((verdict, change)) = other {
        write!(page, "<td>{} <span class=\"{1}\">({1})</span></td>", verdict.as_str(), change.as_str())?;
    }
    let links: Vec<String> = row.evidence.iter().map(|id| format!("<a href=\"#{id}\">{id}</a>")).collect();
    let gateway = match (row.verdict.is_quirk(), row.capability.inherent(), row.advice) {
        (false, ..) => String::new(),
        (true, Some(inherent), _) => escaped(inherent),
        (true, None, Some(treatment)) => treatment.as_str().to_owned(),
        (true, None, None) => "as it is".to_owned(),
    };
    writeln!(
        page,
        "<td>{}<br><span class=\"small\">{} {}</span></td><td>{gateway}</td></tr>",
        escaped(&row.how),
        escaped(row.capability.judged()),
        links.join(" ")
    )
}

fn evidence(page: &mut String, heading: &str, prefix: &str, all: &[Evidence]) -> std::fmt::Result {
    writeln!(page, "<h2>{}</h2>", escaped(heading))?;
    for one in all {
        let status = one.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        writeln!(
            page,
            "<details id=\"{prefix}{}\"><summary>{} {} {} → {status} <span class=\"small\">{} · {} ms</span></summary>",
            one.id,
            one.id,
            escaped(&one.method),
            escaped(&one.path),
            one.capability,
            one.took_ms
        )?;
        if !one.request.is_empty() {
            writeln!(page, "<pre>{}</pre>", escaped(&one.request))?;
        }
        let headers: String = one.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let cut = if one.answer_cut > 0 { format!("\n… {} bytes more", one.answer_cut) } else { String::new() };
        let failure = one.failure.as_deref().unwrap_or_default();
        writeln!(page, "<pre>{}</pre></details>", escaped(&format!("{headers}\n{}{cut}{failure}", one.answer)))?;
    }
    Ok(())
}

/// `text` as it may stand between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use wire::capability::Capability;

    use super::*;
    use crate::conformance::{Score, compare};

    #[test]
    fn whatever_a_server_says_is_text_on_the_page() {
        const EVIL: &str = "<script>alert('x')</script>\"&\u{7}";
        let row = |capability| Row {
            capability,
            verdict: Verdict::Degraded,
            how: EVIL.into(),
            evidence: vec!["e1".into()],
            advice: None,
        };
        let rows: Vec<Row> = Capability::ALL.iter().map(|capability| row(*capability)).collect();
        let evidence = Evidence {
            id: "e1".into(),
            capability: "chat",
            method: "POST".into(),
            path: "/chat/completions".into(),
            request: EVIL.into(),
            status: Some(200),
            headers: vec![("x-request-id".into(), EVIL.into())],
            answer: EVIL.into(),
            answer_cut: 7,
            failure: Some(EVIL.into()),
            took_ms: 3,
        };
        let report = Report {
            subject: EVIL.into(),
            base_url: EVIL.into(),
            model: EVIL.into(),
            kind: "generic",
            simulated: true,
            began_s: 0,
            took_ms: 1500,
            score: Score::of(&rows),
            rows,
            evidence: vec![evidence],
        };
        let comparison = compare(&report, &report);
        let page = page(&report, Some((&report, &comparison)), EVIL);
        assert!(!page.contains("<script") && !page.contains("alert('x')") && !page.contains('\u{7}'));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
        assert!(page.contains("made up"), "simulated answers are labelled");
        for outside in ["http://", "https://", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<tr>").count() - page.matches("<tr><th>").count(), Capability::ALL.len());
    }
}
