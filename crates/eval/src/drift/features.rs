//! What is counted of an input or an answer where no model makes vectors of them.
//!
//! Counts are `ln(1 + n)`, so that a text ten times as long is as far away wherever it began, and parts of a text are from 0 to 1. Each number is then
//! held against its spread in both runs together ([`scaled`]): which run a text is of has no say in that, so that shuffles stay fair.

use serde_json::Value;

use crate::case::{Answer, Case, text_of};

/// What is counted of a case's request: its shape, and the characters of the question.
pub(super) fn of_case(case: &Case) -> Vec<f32> {
    let list = |key: &str| case.request.get(key).and_then(Value::as_array);
    let messages = list("messages").map(Vec::as_slice).unwrap_or_default();
    let whole: usize = messages.iter().map(|message| text_of(&message["content"]).chars().count()).sum();
    let mut features = of_text(&case.question());
    features.extend([messages.len(), whole, list("tools").map_or(0, Vec::len), case.documents.len()].map(count));
    features
}

/// What is counted of an answer.
pub(super) fn of_answer(answer: &Answer) -> Vec<f32> {
    let mut features = of_text(&answer.text);
    features.push(count(answer.tool_calls.len()));
    features
}

fn of_text(text: &str) -> Vec<f32> {
    let n = text.chars().count();
    let part = |is_of: fn(char) -> bool| {
        let n_of = text.chars().filter(|letter| is_of(*letter)).count();
        if n == 0 { 0.0 } else { n_of as f32 / n as f32 }
    };
    vec![
        count(n),
        count(text.split_whitespace().count()),
        count(text.lines().count()),
        part(char::is_numeric),
        part(char::is_uppercase),
        part(|letter| letter.is_ascii_punctuation()),
        part(|letter| !letter.is_ascii()),
    ]
}

fn count(n: usize) -> f32 {
    (n as f32).ln_1p()
}

/// Each number less its mean and over its standard deviation, of both together; what never differs is 0.
pub(super) fn scaled(mut before: Vec<Vec<f32>>, mut after: Vec<Vec<f32>>) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let n_features = before.first().or(after.first()).map_or(0, Vec::len);
    let n = (before.len() + after.len()) as f64;
    for idx in 0..n_features {
        let all = || before.iter().chain(&after).map(|vector| f64::from(vector[idx]));
        let mean = all().sum::<f64>() / n;
        let deviation = (all().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        for vector in before.iter_mut().chain(&mut after) {
            let scaled = (f64::from(vector[idx]) - mean) / deviation;
            #[expect(clippy::cast_possible_truncation, reason = "a few deviations, which single precision holds")]
            let scaled = scaled as f32;
            vector[idx] = if deviation > 1e-9 { scaled } else { 0.0 };
        }
    }
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_on_one_scale_and_what_never_differs_is_nothing() {
        let case = |question: &str| of_case(&Case::asking("a", question, []));
        let (before, after) = scaled(vec![case("Hi"), case("Hi 12")], vec![case("Hello there, you!")]);
        let all: Vec<&Vec<f32>> = before.iter().chain(&after).collect();
        for idx in 0..all[0].len() {
            let values: Vec<f32> = all.iter().map(|vector| vector[idx]).collect();
            let spread = values.iter().map(|value| value * value).sum::<f32>() / 3.0;
            assert!(values.iter().sum::<f32>().abs() < 1e-4, "{idx} {values:?}");
            assert!((spread - 1.0).abs() < 1e-4 || spread == 0.0, "{idx} {values:?}");
        }
        assert!(before[0][2] == 0.0 && before[0][10] == 0.0, "one line each, no documents");
    }

    #[test]
    fn an_empty_text_has_no_parts() {
        assert_eq!(of_text(""), [0.0; 7]);
    }
}
