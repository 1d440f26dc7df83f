//! Two results beside each other: the figures of both at the loads that both have.

use serde::Serialize;

use crate::definition;
use crate::result::{BenchResult, Found, Level, Load};

/// One figure of two results at one load.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Whose it is.
    pub target: String,
    /// At which load.
    pub load: String,
    /// Which.
    pub figure: String,
    /// In the first result.
    pub first: Option<f64>,
    /// In the second.
    pub second: Option<f64>,
    /// The second by the first: 0.1 is a tenth more.
    pub change: Option<f64>,
    /// Whether the 95 % intervals are apart; nothing where there are none.
    pub is_apart: Option<bool>,
}

const QUANTILES: [(&str, &str); 6] = [
    (definition::TTFT_INTENDED, "p50"),
    (definition::TTFT_INTENDED, "p95"),
    (definition::E2E_INTENDED, "p50"),
    (definition::E2E_INTENDED, "p95"),
    (definition::TPOT, "p50"),
    (definition::GAP_MAX, "p95"),
];

/// The figures of both at the loads that both have. Targets are matched by name; of results with one target each, that is the one.
#[must_use]
pub fn rows(first: &BenchResult, second: &BenchResult) -> Vec<Row> {
    let is_one = |result: &BenchResult| result.targets.len() == 1;
    let by_name = !(is_one(first) && is_one(second));
    let is_same = |a: &str, b: &str| !by_name || a == b;
    let mut rows = Vec::new();
    for level in &first.levels {
        let same = |other: &&Level| is_same(&level.target, &other.target) && is_load(level.load, other.load);
        if let Some(other) = second.levels.iter().find(same) {
            of_levels(level, other, &mut rows);
        }
    }
    for found in &first.found {
        let same = |other: &&Found| is_same(&found.target, &other.target) && found.over == other.over;
        if let Some(other) = second.found.iter().find(same) {
            let figure = format!("max_{}@SLO", found.over);
            rows.push(row((&found.target, "search"), figure, (found.sustained, other.sustained), None));
        }
    }
    rows
}

fn is_load(a: Load, b: Load) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b) && (a.number() / b.number() - 1.0).abs() < 1e-9
}

fn of_levels(level: &Level, other: &Level, rows: &mut Vec<Row>) {
    let at = (level.target.as_str(), &*level.load_words());
    for (id, quantile) in QUANTILES {
        let of = |level: &Level| level.latency.get(id).and_then(|found| found.quantiles.get(quantile)).copied();
        let (a, b) = (of(level), of(other));
        let is_apart = a.zip(b).and_then(|(a, b)| Some(a.high? < b.low? || b.high? < a.low?));
        let values = (a.and_then(|a| a.value), b.and_then(|b| b.value));
        rows.push(row(at, format!("{id} {quantile}, ms"), values, is_apart));
    }
    rows.push(row(at, "tokens/s".to_owned(), (level.out_tok_s, other.out_tok_s), None));
    rows.push(row(at, "requests/s".to_owned(), (level.requests_per_s, other.requests_per_s), None));
    let share = |level: &Level| level.goodput.and_then(|goodput| goodput.attained.share());
    let interval = |level: &Level| level.goodput.and_then(|goodput| goodput.interval);
    if let (Some(a), Some(b)) = (share(level), share(other)) {
        let is_apart = interval(level).zip(interval(other)).map(|(a, b)| a.1 < b.0 || b.1 < a.0);
        rows.push(row(at, "attainment".to_owned(), (Some(a), Some(b)), is_apart));
    }
}

fn row(
    (target, load): (&str, &str),
    figure: String,
    (first, second): (Option<f64>, Option<f64>),
    is_apart: Option<bool>,
) -> Row {
    let change = first.zip(second).filter(|(first, _)| *first > 0.0).map(|(first, second)| second / first - 1.0);
    Row { target: target.to_owned(), load: load.to_owned(), figure, first, second, change, is_apart }
}
