//! A result as CSV: a row for each target and load.

use crate::definition;
use crate::quantile::SHOWN;
use crate::result::{BenchResult, Level};

const LATENCIES: [&str; 7] = [
    definition::TTFT_INTENDED,
    definition::TTFT_SENT,
    definition::E2E_INTENDED,
    definition::E2E_SENT,
    definition::GAP,
    definition::GAP_MAX,
    definition::TPOT,
];

/// The rows under their heading. What was not measured is empty.
#[must_use]
pub fn csv(result: &BenchResult) -> String {
    let mut heading: Vec<String> = [
        "name",
        "target",
        "load_kind",
        "load",
        "seconds",
        "duty",
        "n_requests",
        "n_good",
        "requests_per_s",
        "out_tok_s",
        "in_tok_s",
        "mean_active",
        "goodput_per_s",
        "slo",
        "invalid",
        "client_lag_ms_p99",
    ]
    .map(str::to_owned)
    .to_vec();
    for id in LATENCIES {
        heading.extend(SHOWN.iter().map(|(quantile, _)| format!("{id}_ms_{quantile}")));
    }
    heading.push("errors".to_owned());
    let mut text = heading.join(",") + "\n";
    for level in &result.levels {
        text += &row(&result.name, level).join(",");
        text.push('\n');
    }
    text
}

fn row(name: &str, level: &Level) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
    let kind = match level.load {
        crate::result::Load::Rate { .. } => "rate",
        crate::result::Load::Replay { .. } => "replay",
        crate::result::Load::Concurrency { .. } => "concurrency",
    };
    let mut cells = vec![
        quoted(name),
        quoted(&level.target),
        kind.to_owned(),
        level.load.number().to_string(),
        format!("{:.3}", level.seconds),
        format!("{:.4}", level.duty),
        level.n_requests.to_string(),
        level.n_good.to_string(),
        number(level.requests_per_s),
        number(level.out_tok_s),
        number(level.in_tok_s),
        number(level.mean_active),
        number(level.goodput.and_then(|goodput| goodput.per_s)),
        level.verdict.map_or(String::new(), |verdict| verdict.as_str().to_owned()),
        level.invalid.is_some().to_string(),
        number(level.client_lag.value("p99")),
    ];
    for id in LATENCIES {
        let found = level.latency.get(id);
        cells.extend(SHOWN.iter().map(|(quantile, _)| number(found.and_then(|found| found.value(quantile)))));
    }
    let errors: Vec<String> = level.errors.iter().map(|(word, n)| format!("{word} {n}")).collect();
    cells.push(quoted(&errors.join("; ")));
    cells
}

/// Text as one cell (RFC 4180). What a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_cell_under_each_heading() {
        let result = crate::page::tests::example();
        let text = csv(&result);
        let mut lines = text.lines();
        let n = lines.next().unwrap().split(',').count();
        assert!(n > 40, "{n}");
        assert!(lines.all(|line| line.split(',').count() == n), "{text}");
        assert_eq!(text.lines().count(), 1 + result.levels.len());
        assert_eq!((quoted("=1+1"), quoted("a,\"b\"")), ("'=1+1".to_owned(), "\"a,\"\"b\"\"\"".to_owned()));
    }
}
