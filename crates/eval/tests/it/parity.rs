//! The metrics against the reference implementations, on the cases of `reference/generate.py`: a few hundred that are committed, or
//! those in the directory `CROSSFADE_METRIC_CASES`, ten thousand and more of each, which `scripts/metrics` generates.
//!
//! Every comparison prints a line `parity`, from which `scripts/metrics` writes the table of `docs/metrics.md`.

mod others;
mod texts;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eval::metric::{Answer, Case, Metric, NAMES, named};
use serde_json::Value;

/// The largest difference that is none.
const TOLERANCE: f64 = 1e-9;

/// Differences by metric.
#[derive(Default)]
struct Tally {
    rows: BTreeMap<String, Row>,
}

#[derive(Default)]
struct Row {
    n: u64,
    n_off: u64,
    n_unscored: u64,
    largest: f64,
    first: Option<String>,
}

impl Tally {
    /// Compares two numbers; `None` for ours is an answer that has no value.
    fn numbers(&mut self, id: &str, ours: Option<f64>, theirs: f64, case: &Value) {
        let row = self.rows.entry(id.to_owned()).or_default();
        row.n += 1;
        let difference = ours.map_or(f64::INFINITY, |ours| (ours - theirs).abs());
        row.largest = row.largest.max(difference);
        if difference.is_nan() || difference > TOLERANCE {
            row.n_off += 1;
            row.first.get_or_insert_with(|| format!("ours {ours:?}, theirs {theirs}: {}", short(case)));
        }
    }

    /// Compares two values that are equal or not.
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, id: &str, ours: &T, theirs: &T, case: &Value) {
        let row = self.rows.entry(id.to_owned()).or_default();
        row.n += 1;
        if ours != theirs {
            row.n_off += 1;
            row.largest = 1.0;
            row.first.get_or_insert_with(|| format!("ours {ours:?}, theirs {theirs:?}: {}", short(case)));
        }
    }

    /// Counts a case that has no value with us.
    fn unscored(&mut self, id: &str) {
        self.rows.entry(id.to_owned()).or_default().n_unscored += 1;
    }

    /// Prints the rows and fails when one has a difference.
    #[track_caller]
    fn finish(self) {
        let mut wrong = Vec::new();
        for (id, row) in &self.rows {
            println!("parity\t{id}\t{}\t{}\t{:e}\t{}", row.n, row.n_off, row.largest, row.n_unscored);
            if let Some(first) = &row.first {
                wrong.push(format!("{id}: {} of {} differ; {first}", row.n_off, row.n));
            }
        }
        assert!(!self.rows.is_empty(), "no case was compared");
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    }
}

fn short(case: &Value) -> String {
    case.to_string().chars().take(1500).collect()
}

/// The cases of a family.
fn cases(family: &str) -> Vec<Value> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let directory = std::env::var_os("CROSSFADE_METRIC_CASES").map_or(committed, PathBuf::from);
    let path = directory.join(format!("{family}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A metric with these settings, `null` for none.
fn metric(name: &str, settings: Value) -> Metric {
    named(name, &settings).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

fn text_case(case: &Value) -> (Case, Answer) {
    let expected = Case { references: strings(&case["references"]), ..Case::default() };
    (expected, Answer { text: case["answer"].as_str().unwrap().to_owned(), ..Answer::default() })
}

fn expected(case: &Value) -> BTreeMap<String, f64> {
    serde_json::from_value(case["expected"].clone()).unwrap()
}

#[test]
fn every_metric_is_on_the_page() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md")).unwrap();
    let missing: Vec<&str> = NAMES.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/metrics.md does not say what these are: {missing:?}");
}
