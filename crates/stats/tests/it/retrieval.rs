//! The same ranked lists measured by pytrec_eval, ir-measures, ranx, rbo and scipy (`tests/reference/retrieval.py`).
//!
//! `CROSSFADE_RETRIEVAL_CASES` names a file of other cases: `scripts/retrieval` makes one of ten thousand.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use stats::retrieval::{Ranked, in_order, kendall, of, rank_biased_overlap};

/// How far a figure may be from theirs.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Case {
    relevance: BTreeMap<String, f64>,
    run: BTreeMap<String, f64>,
    k: usize,
    expected: BTreeMap<String, BTreeMap<String, f64>>,
    one: Vec<String>,
    other: Vec<String>,
    alike: Alike,
}

#[derive(Deserialize)]
struct Alike {
    rbo: f64,
    kendall: Option<f64>,
}

#[test]
fn lists_are_measured_as_by_pytrec_eval_ir_measures_ranx_rbo_and_scipy() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/retrieval.jsonl");
    let path = std::env::var_os("CROSSFADE_RETRIEVAL_CASES").map_or(committed, Into::into);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut n_compared: BTreeMap<String, usize> = BTreeMap::new();
    let mut compare = |what: &str, ours: f64, theirs: f64, line: &str| {
        assert!((ours - theirs).abs() <= TOLERANCE, "{what}: {ours} here, {theirs} there, of {line}");
        *n_compared.entry(what.to_owned()).or_default() += 1;
    };
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let ranking = in_order(&case.run);
        for (name, by_library) in &case.expected {
            let (ranked, k) = match name.as_str() {
                "ndcg" => (Ranked::Ndcg, Some(case.k)),
                "recall" => (Ranked::Recall, Some(case.k)),
                "precision" => (Ranked::Precision, Some(case.k)),
                "map" => (Ranked::AveragePrecision, Some(case.k)),
                "mrr" => (Ranked::ReciprocalRank, Some(case.k)),
                "mrr_whole" => (Ranked::ReciprocalRank, None),
                other => panic!("{other}"),
            };
            for (library, theirs) in by_library {
                compare(&format!("{name} of {library}"), of(ranked, &case.relevance, &ranking, k), *theirs, line);
            }
        }
        compare("rbo", rank_biased_overlap(&case.one, &case.other, 0.9), case.alike.rbo, line);
        assert_eq!(kendall(&case.one, &case.other).is_some(), case.alike.kendall.is_some(), "{line}");
        if let (Some(ours), Some(theirs)) = (kendall(&case.one, &case.other), case.alike.kendall) {
            compare("kendall", ours, theirs, line);
        }
    }
    let expected = ["map of ranx", "mrr of ranx", "mrr_whole of pytrec_eval", "ndcg of ir_measures", "rbo", "kendall"];
    for what in expected {
        assert!(n_compared.get(what).is_some_and(|n| *n >= 50), "{what} was hardly compared: {n_compared:?}");
    }
}
