//! The tables for people.

use inventory::traffic::{HOURS, Latency, Lengths, Row, Seen, Use, Week};

use crate::out::table;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Most callers of one use that are shown; JSON has more.
const MOST_CALLERS: usize = 10;

/// What was seen where, then the figures of the traffic, who called, and when.
pub(super) fn text(rows: &[Row<'_>], uses: &[Use], week: Option<&Week>, is_each: bool) -> String {
    let mut parts = Vec::new();
    if !rows.is_empty() {
        let lines: Vec<Vec<String>> = rows.iter().flat_map(lines).collect();
        parts.push(table(&["seen", "operation", "model", "vendor", "met by", "requests", "places in code"], &lines));
    }
    if !uses.is_empty() {
        let lines: Vec<Vec<String>> = uses.iter().map(figures).collect();
        let heads = [
            "operation",
            "model",
            "answered by",
            "complete",
            "busiest minute",
            "hour",
            "tokens in",
            "out",
            "first token ms",
            "end ms",
            "streams",
            "asks for",
        ];
        parts.push(table(&heads, &lines));
        let lines: Vec<Vec<String>> = uses.iter().flat_map(callers).collect();
        parts.push(table(&["operation", "model", "called by", "tenant", "requests"], &lines));
    }
    if let Some(week) = week {
        parts.push(format!("Requests by the hour of the week, all together\n{}", hours(week)));
    }
    for of in uses.iter().filter(|_| is_each) {
        let title = format!("Requests by the hour of the week, {} {}", of.operation, of.route);
        parts.push(format!("{title}\n{}", hours(&of.week)));
    }
    parts.join("\n")
}

/// `3 in both, 2 in code only, 1 in traffic only`.
pub(super) fn counted(rows: &[Row<'_>]) -> String {
    let n = |seen: Seen| rows.iter().filter(|row| row.seen == seen).count();
    format!("{} in both, {} in code only, {} in traffic only", n(Seen::Both), n(Seen::CodeOnly), n(Seen::TrafficOnly))
}

/// A line for the row, and one for each further place.
fn lines(row: &Row<'_>) -> Vec<Vec<String>> {
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let requests = row.traffic.map_or_else(|| "-".to_owned(), |of| of.tally.requests.to_string());
    let places = row.places();
    let head = vec![
        row.seen.as_str().to_owned(),
        row.operation.clone(),
        or_none(&row.model),
        or_none(&row.vendors.join(" ")),
        or_none(row.by_words()),
        requests,
        places.first().cloned().unwrap_or_else(|| "-".to_owned()),
    ];
    let more = places.into_iter().skip(1).map(|place| {
        let mut cells = vec![String::new(); 6];
        cells.push(place);
        cells
    });
    std::iter::once(head).chain(more).collect()
}

fn figures(of: &Use) -> Vec<String> {
    let none = || "-".to_owned();
    let lengths = |of: Option<Lengths>| of.map_or_else(none, |of| format!("{} / {}", of.p50, of.p95));
    let times = |of: Option<Latency>| of.map_or_else(none, |of| format!("{:.0} / {:.0}", of.p50, of.p95));
    let models: Vec<String> = of.models.iter().map(|asked| format!("{} ({})", asked.model, asked.provider)).collect();
    let asks = of.capabilities.iter().filter(|(name, _)| **name != "streaming");
    let asks: Vec<String> = asks.map(|(name, n)| format!("{name} {}", share(*n, of.bodies_read))).collect();
    vec![
        of.operation.clone(),
        of.route.clone(),
        if models.is_empty() { none() } else { models.join(", ") },
        share(of.tally.complete, of.tally.requests),
        of.peaks.minute.requests.to_string(),
        of.peaks.hour.requests.to_string(),
        lengths(of.input_tokens),
        lengths(of.output_tokens),
        times(of.first_token_ms),
        times(of.end_ms),
        share(of.tally.streamed, of.tally.requests),
        if of.bodies_read == 0 { "not read".to_owned() } else { asks.join(", ") },
    ]
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.0} %", part as f64 / whole as f64 * 100.0) }
}

fn callers(of: &Use) -> Vec<Vec<String>> {
    let line = |caller: &inventory::traffic::Caller| {
        vec![
            of.operation.clone(),
            of.route.clone(),
            if caller.key.is_empty() { "(no key)".to_owned() } else { caller.key.clone() },
            caller.tenant.clone().unwrap_or_else(|| "-".to_owned()),
            caller.requests.to_string(),
        ]
    };
    of.callers.iter().take(MOST_CALLERS).map(line).collect()
}

/// A line a day: requests in each hour, the mean of those on record; `-` where none is.
fn hours(week: &Week) -> String {
    let cell = |idx: usize| match (week.recorded.get(idx), week.requests.get(idx)) {
        (Some(0) | None, _) | (_, None) => "-".to_owned(),
        (_, Some(mean)) if *mean >= 10.0 || mean.fract() == 0.0 => format!("{mean:.0}"),
        (_, Some(mean)) => format!("{mean:.1}"),
    };
    let line = |day: usize| {
        let hours = (0..24).map(|at| cell(day * 24 + at));
        std::iter::once(DAYS[day % 7].to_owned()).chain(hours).collect::<Vec<String>>()
    };
    let heads: Vec<String> = std::iter::once("UTC".to_owned()).chain((0..24).map(|at| format!("{at:02}"))).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    table(&heads, &(0..HOURS / 24).map(line).collect::<Vec<_>>())
}
