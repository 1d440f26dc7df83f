//! As one page that needs nothing else: no script, no font, no link. What others wrote is escaped.

use super::gather::{Latency, Lengths, Use};
use super::hours::{HOURS, Week};
use super::join::{Row, Seen};

const STYLE: &str = "\
:root{color-scheme:light dark;--small:#59636e;--bar:9,105,218}\
@media(prefers-color-scheme:dark){:root{--small:#9198a1;--bar:88,166,255}}\
body{font:15px/1.5 system-ui,sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}\
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.where{font-family:ui-monospace,monospace;font-size:.85rem}.small{color:var(--small);font-size:.85rem}\
.week{width:auto}.week td,.week th{padding:.1rem .3rem;text-align:right;font-size:.78rem;font-variant-numeric:tabular-nums;border:1px solid #8882}\
@media print{body{max-width:none;margin:0;font-size:11px}.scroll{overflow:visible}}";

/// Nothing runs and nothing is fetched, whatever a name holds.
const POLICY: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">";

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Places and callers of a row that the page lists; the CSV and the JSON have all.
const MOST: usize = 20;

/// What a page is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// What was looked through beside the record, by name.
    pub names: &'a [String],
    /// What was read, in sentences.
    pub words: &'a [String],
    /// The moment, in words.
    pub now: &'a str,
}

/// The page: what was seen where, the figures of what was recorded, who called, and when.
#[must_use]
pub fn html(rows: &[Row<'_>], uses: &[Use], week: Option<&Week>, about: About<'_>) -> String {
    let beside =
        if about.names.is_empty() { String::new() } else { format!(" and code of {}", about.names.join(", ")) };
    let title = escaped(&format!("Recorded traffic{beside}"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">{POLICY}<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n<p class=\"small\">{} UTC, crossfade</p>\n",
        escaped(about.now)
    );
    for words in about.words {
        page += &format!("<p>{}.</p>\n", escaped(words));
    }
    page += "<h2>What was seen where</h2>\n";
    page += &table(
        &["seen", "operation", "model", "vendor", "met by", "#requests", "places in code"],
        rows.iter().map(row),
    );
    if !uses.is_empty() {
        page += "<h2>What was asked for</h2>\n";
        let heads = [
            "operation",
            "model",
            "answered by",
            "#requests",
            "#complete",
            "#busiest minute",
            "#busiest hour",
            "#tokens in",
            "#tokens out",
            "#first token ms",
            "#end ms",
            "asks for",
        ];
        page += &table(&heads, uses.iter().map(figures));
        page += "<p class=\"small\">Tokens and times are median / p95.</p>\n<h2>Who called</h2>\n";
        page += &table(&["operation", "model", "called by", "tenant", "#requests"], uses.iter().flat_map(callers));
    }
    if let Some(week) = week {
        page += "<h2>Requests by the hour of the week, UTC</h2>\n";
        page += &hours(week);
        page += "<p class=\"small\">The mean of such hours on record; an empty one is not on record.</p>\n";
    }
    page + "</html>\n"
}

/// A table; a heading that begins with `#` is of numbers. Cells are escaped already.
fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let is_number: Vec<bool> = heads.iter().map(|head| head.starts_with('#')).collect();
    let class = |idx: usize| if is_number.get(idx) == Some(&true) { " class=\"n\"" } else { "" };
    let mut text = "<div class=\"scroll\"><table><tr>".to_owned();
    for (idx, head) in heads.iter().enumerate() {
        text += &format!("<th{}>{}", class(idx), head.trim_start_matches('#'));
    }
    for row in rows {
        text += "\n<tr>";
        for (idx, cell) in row.iter().enumerate() {
            text += &format!("<td{}>{cell}", class(idx));
        }
    }
    text + "\n</table></div>\n"
}

fn row(row: &Row<'_>) -> Vec<String> {
    let places = row.places();
    let shown: Vec<String> = places.iter().take(MOST).map(|place| escaped(place)).collect();
    let more = match places.len().saturating_sub(MOST) {
        0 => String::new(),
        n => format!("<br>and {n} more"),
    };
    let seen = row.seen.as_str();
    vec![
        if row.seen == Seen::TrafficOnly { format!("<b>{seen}</b>") } else { seen.to_owned() },
        escaped(&row.operation),
        escaped(&row.model),
        escaped(&row.vendors.join(" ")),
        row.by_words().to_owned(),
        row.traffic.map_or_else(String::new, |of| of.tally.requests.to_string()),
        format!("<span class=\"where\">{}{more}</span>", shown.join("<br>")),
    ]
}

fn figures(of: &Use) -> Vec<String> {
    let lengths = |of: Option<Lengths>| of.map_or_else(String::new, |of| format!("{} / {}", of.p50, of.p95));
    let times = |of: Option<Latency>| of.map_or_else(String::new, |of| format!("{:.0} / {:.0}", of.p50, of.p95));
    let models: Vec<String> = of
        .models
        .iter()
        .map(|asked| {
            let simulated = if asked.simulated { ", simulated" } else { "" };
            escaped(&format!("{} ({}{simulated})", asked.model, asked.provider))
        })
        .collect();
    let asks = |(name, n): (&&str, &u64)| {
        // A stream is on record for every request, the rest for those whose body was read.
        let whole = if *name == "streaming" { of.tally.requests } else { of.bodies_read };
        format!("{name} {}", share(*n, whole))
    };
    vec![
        escaped(&of.operation),
        escaped(&of.route),
        models.join("<br>"),
        of.tally.requests.to_string(),
        share(of.tally.complete, of.tally.requests),
        of.peaks.minute.requests.to_string(),
        of.peaks.hour.requests.to_string(),
        lengths(of.input_tokens),
        lengths(of.output_tokens),
        times(of.first_token_ms),
        times(of.end_ms),
        of.capabilities.iter().map(asks).collect::<Vec<_>>().join(", "),
    ]
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("{:.0} %", part as f64 / whole as f64 * 100.0) }
}

fn callers(of: &Use) -> Vec<Vec<String>> {
    let line = |caller: &super::Caller| {
        vec![
            escaped(&of.operation),
            escaped(&of.route),
            if caller.key.is_empty() { "(no key)".to_owned() } else { escaped(&caller.key) },
            escaped(caller.tenant.as_deref().unwrap_or_default()),
            caller.requests.to_string(),
        ]
    };
    of.callers.iter().take(MOST).map(line).collect()
}

/// A row a day; the more requests, the darker.
fn hours(week: &Week) -> String {
    let most = week.requests.iter().copied().fold(0.0_f64, f64::max);
    let mut text = "<div class=\"scroll\"><table class=\"week\"><tr><th>".to_owned();
    for hour in 0..24 {
        text += &format!("<th>{hour:02}");
    }
    for (day, name) in DAYS.iter().enumerate().take(HOURS / 24) {
        text += &format!("\n<tr><th>{name}");
        for idx in day * 24..day * 24 + 24 {
            let mean = week.requests.get(idx).copied().unwrap_or(0.0);
            text += &match week.recorded.get(idx) {
                None | Some(0) => "<td>".to_owned(),
                Some(_) if mean <= 0.0 => "<td>0".to_owned(),
                Some(_) => {
                    let digits = usize::from(mean < 10.0 && mean.fract() != 0.0);
                    format!("<td style=\"background:rgba(var(--bar),{:.2})\">{mean:.digits$}", 0.1 + 0.6 * mean / most)
                }
            };
        }
    }
    text + "\n</table></div>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
