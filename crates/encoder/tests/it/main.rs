//! The model against the reference implementations, on the committed cases or on those that `scripts/bertscore` made: bert-score's numbers, and vectors of
//! texts as transformers computes them.

#![cfg(feature = "model")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that fails by panicking, and prints what it compared"
)]

use std::path::{Path, PathBuf};

use encoder::{Encoding, Model};
use eval::metric::vectors::{BertScore, Tokens, bert_score};
use serde_json::Value;

/// The layer whose vectors the reference values are of, of three.
const LAYER: usize = 2;
/// Two numbers differ when they are further apart: single precision, added up in another order.
const TOLERANCE: f64 = 1e-4;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn cases() -> Vec<Value> {
    let committed = committed().join("cases.jsonl");
    let path = std::env::var_os("CROSSFADE_BERT_CASES").map_or(committed, PathBuf::from);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How far apart numbers are.
#[derive(Default)]
struct Tally {
    n: u64,
    n_apart: u64,
    largest: f64,
}

impl Tally {
    fn add(&mut self, ours: f64, theirs: f64, case: &Value) {
        let apart = (ours - theirs).abs();
        self.n += 1;
        self.largest = self.largest.max(apart);
        if apart.is_nan() || apart > TOLERANCE {
            self.n_apart += 1;
            println!("{ours} and {theirs}: {case}");
        }
    }

    #[track_caller]
    fn finish(&self, name: &str) {
        println!("parity\t{name}\t{}\t{}\t{:e}\t0", self.n, self.n_apart, self.largest);
        assert!(self.n > 0 && self.n_apart == 0);
    }
}

fn tokens(Encoding { tokens, weights, .. }: Encoding) -> Tokens {
    Tokens { vectors: tokens, weights }
}

#[test]
fn answers_are_worth_what_bert_score_says() {
    let model = Model::load(&committed().join("tiny-bert"), Some(LAYER)).unwrap();
    let mut tally = Tally::default();
    let cases = cases();
    assert!(cases.len() >= 300, "{}", cases.len());
    for case in &cases {
        let of = |text: &Value| tokens(model.encode(text.as_str().unwrap()).unwrap());
        let answer = of(&case["answer"]);
        let references = case["references"].as_array().unwrap();
        let scores: Vec<BertScore> = references.iter().map(|text| bert_score(&answer, &of(text)).unwrap()).collect();
        let figures: [fn(&BertScore) -> f64; 3] = [|one| one.precision, |one| one.recall, |one| one.f1];
        for (figure, theirs) in figures.iter().zip(case["expected"].as_array().unwrap()) {
            // The best reference, by each figure apart.
            let best = scores.iter().map(figure).max_by(f64::total_cmp).unwrap();
            tally.add(best, theirs.as_f64().unwrap(), case);
        }
    }
    tally.finish("bertscore@bert-score-0.3.13");
}

#[test]
fn the_vector_of_a_text_is_the_mean_that_transformers_computes() {
    let model = Model::load(&committed().join("tiny-bert"), None).unwrap();
    let mut tally = Tally::default();
    for case in cases() {
        let Some(theirs) = case["vector"].as_array() else { continue };
        let ours = model.encode(case["answer"].as_str().unwrap()).unwrap().vector;
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            tally.add(f64::from(*ours), theirs.as_f64().unwrap(), &case);
        }
    }
    tally.finish("mean vector@transformers");
}

#[test]
fn a_model_is_named_by_its_files_and_layer_and_refused_where_it_is_of_another_kind() {
    let tiny = committed().join("tiny-bert");
    let id = |layer| Model::load(&tiny, layer).unwrap().id().to_owned();
    let last = id(None);
    assert!(last.starts_with("tiny-bert-") && last.ends_with("_L3_no-idf"), "{last}");
    assert_eq!(id(Some(2)), last.replace("_L3_", "_L2_"));
    let refused = |config: Option<&str>, layer| {
        let directory = tempfile::tempdir().unwrap();
        for file in ["model.safetensors", "tokenizer.json"] {
            std::fs::copy(tiny.join(file), directory.path().join(file)).unwrap();
        }
        if let Some(config) = config {
            std::fs::write(directory.path().join("config.json"), config).unwrap();
        }
        Model::load(directory.path(), layer).err().unwrap().to_string()
    };
    let config = std::fs::read_to_string(tiny.join("config.json")).unwrap();
    assert_eq!(refused(None, None), "cannot read config.json");
    assert_eq!(refused(Some(&config), Some(4)), "there is no layer 4: it has 3");
    let other = config.replace("\"model_type\": \"bert\"", "\"model_type\": \"mpnet\"");
    assert!(refused(Some(&other), None).contains("`model_type: mpnet`"));
    let deeper = config.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    assert!(refused(Some(&deeper), None).contains("the weights of model.safetensors cannot be used"));
    assert!(refused(Some("{}"), None).contains("config.json is no config"));
}

#[test]
fn a_text_longer_than_the_model_reads_is_cut_and_one_of_nothing_has_its_marks() {
    let model = Model::load(&committed().join("tiny-bert"), None).unwrap();
    let long = model.encode(&"order ".repeat(500)).unwrap();
    // What tokenizer_config.json says, of 64 positions.
    assert_eq!((long.tokens.len(), long.weights.iter().sum::<f64>(), long.is_cut), (48, 46.0, true));
    assert_eq!(model.longest(), 48);
    let nothing = model.encode(" \n").unwrap();
    assert_eq!((nothing.weights.as_slice(), nothing.is_cut), (&[0.0, 0.0][..], false));
}
