//! Texts and classes.

use eval::metric::classes::{Average, Confusion};
use eval::metric::rouge::{Rouge, overlap};
use eval::metric::{Basis, Score, porter};
use serde_json::{Value, json};

use super::{Tally, cases, expected, metric, strings, text_case};

/// Scores every case with each metric that the references scored.
fn check(family: &str, settings: impl Fn(&Value) -> Value) {
    let mut tally = Tally::default();
    for case in cases(family) {
        let (references, answer) = text_case(&case);
        for (name, theirs) in expected(&case) {
            let metric = metric(&name, settings(&case));
            tally.numbers(&metric.id, metric.score(&references, &answer).as_value(), theirs, &case);
        }
    }
    tally.finish();
}

#[test]
fn exact_match_and_f1_are_those_of_the_squad_script() {
    check("squad", |_| Value::Null);
}

#[test]
fn rouge_is_that_of_rouge_score() {
    check("rouge", |case| json!({ "stemmed": case["stemmed"] }));
}

#[test]
fn rouge_has_the_precision_and_recall_of_rouge_score() {
    let mut tally = Tally::default();
    for case in cases("rouge") {
        let (references, answer) = text_case(&case);
        let stemmed = case["stemmed"].as_bool().unwrap();
        for (name, rouge) in
            [("rouge_1", Rouge::N(1)), ("rouge_2", Rouge::N(2)), ("rouge_l", Rouge::L), ("rouge_lsum", Rouge::Lsum)]
        {
            let ours = overlap(rouge, stemmed, &references.references[0], &answer.text).unwrap();
            let theirs = &case["first"][name];
            for (idx, ours) in [ours.precision, ours.recall, ours.f1].into_iter().enumerate() {
                tally.numbers("rouge: precision, recall, F1", Some(ours), theirs[idx].as_f64().unwrap(), &case);
            }
        }
    }
    tally.finish();
}

#[test]
fn words_are_stemmed_as_by_nltk() {
    let mut tally = Tally::default();
    for case in cases("porter") {
        for (word, theirs) in strings(&case["words"]).iter().zip(strings(&case["expected"])) {
            tally.equal("porter@nltk-3.10", &porter::stem(word), &theirs, &json!(word));
        }
    }
    tally.finish();
}

#[test]
fn bleu_and_chrf_of_one_answer_are_those_of_sacrebleu() {
    check("translation", |_| Value::Null);
}

#[test]
fn bleu_and_chrf_of_many_answers_are_those_of_sacrebleu() {
    let mut tally = Tally::default();
    for case in cases("corpus") {
        for (name, theirs) in expected(&case) {
            let metric = metric(&name, Value::Null);
            let one = |case: &Value| {
                let (references, answer) = text_case(case);
                metric.score(&references, &answer)
            };
            let scores: Vec<Score> = case["cases"].as_array().unwrap().iter().map(one).collect();
            tally.numbers(&format!("{}, corpus", metric.id), metric.summarise(&scores).value, theirs, &case);
        }
    }
    tally.finish();
}

#[test]
fn figures_of_classes_are_those_of_scikit_learn() {
    let mut tally = Tally::default();
    for case in cases("classes") {
        let pairs: Vec<(String, String)> = serde_json::from_value(case["pairs"].clone()).unwrap();
        let labels: Option<Vec<String>> = serde_json::from_value(case["labels"].clone()).unwrap();
        let borrowed = || pairs.iter().map(|(expected, predicted)| (expected.as_str(), predicted.as_str()));
        let confusion = Confusion::of(borrowed(), labels.as_deref());
        let of_matrix: Option<Vec<String>> = serde_json::from_value(case["matrix_labels"].clone()).unwrap();
        let matrix = Confusion::of(borrowed(), of_matrix.as_deref());
        tally.equal("confusion_matrix@scikit-learn-1.9", &json!(matrix.counts), &case["matrix"], &case);
        let theirs: Vec<[f64; 4]> = serde_json::from_value(case["each"].clone()).unwrap();
        for (ours, theirs) in confusion.figures().iter().zip(theirs) {
            for (ours, theirs) in [ours.precision, ours.recall, ours.f1, ours.support as f64].into_iter().zip(theirs) {
                tally.numbers("each class@scikit-learn-1.9", Some(ours), theirs, &case);
            }
        }
        let scores: Vec<Score> = borrowed()
            .map(|(expected, predicted)| {
                let basis = Basis::Classes { expected: expected.to_owned(), predicted: predicted.to_owned() };
                Score::is(expected == predicted).with_basis(basis)
            })
            .collect();
        for (name, theirs) in expected(&case) {
            let metric = metric(
                &name,
                labels
                    .as_ref()
                    .filter(|_| name != "accuracy")
                    .map_or(Value::Null, |labels| json!({ "labels": labels })),
            );
            tally.numbers(&format!("{name}@scikit-learn-1.9"), metric.summarise(&scores).value, theirs, &case);
        }
        let micro = confusion.average(Average::Micro);
        tally.numbers("f1_micro@scikit-learn-1.9", Some(micro.f1), expected(&case)["f1_micro"], &case);
    }
    tally.finish();
}
