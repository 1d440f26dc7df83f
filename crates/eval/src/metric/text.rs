//! Assertions about the text of an answer. None normalises more than it says.

use regex::Regex;

use super::{Answer, Case, Metric, Range, Score, Unscored};

/// `exact_match`.
pub(super) fn exact_match() -> Metric {
    Metric::new(
        "exact_match@crossfade-1",
        "1 when the answer is byte for byte one of the references, white space around both apart, else 0",
        |case, answer| any(case, |reference| answer.text.trim() == reference.trim()),
    )
}

/// `contains`.
pub(super) fn contains() -> Metric {
    Metric::new(
        "contains@crossfade-1",
        "1 when one of the references stands in the answer as it is written, else 0",
        |case, answer| any(case, |reference| answer.text.contains(reference)),
    )
}

/// `contains_all`.
pub(super) fn contains_all() -> Metric {
    Metric::new("contains_all@crossfade-1", "1 when every reference stands in the answer, else 0", |case, answer| {
        all(case, |reference| answer.text.contains(reference))
    })
}

/// `icontains`.
pub(super) fn icontains() -> Metric {
    Metric::new(
        "icontains@crossfade-1",
        "1 when one of the references stands in the answer, both in lower case, else 0",
        |case, answer| {
            let text = answer.text.to_lowercase();
            any(case, |reference| text.contains(&reference.to_lowercase()))
        },
    )
}

/// `icontains_all`.
pub(super) fn icontains_all() -> Metric {
    Metric::new(
        "icontains_all@crossfade-1",
        "1 when every reference stands in the answer, both in lower case, else 0",
        |case, answer| {
            let text = answer.text.to_lowercase();
            all(case, |reference| text.contains(&reference.to_lowercase()))
        },
    )
}

/// `starts_with`.
pub(super) fn starts_with() -> Metric {
    Metric::new(
        "starts_with@crossfade-1",
        "1 when the answer begins with one of the references, else 0",
        |case, answer| any(case, |reference| answer.text.starts_with(reference)),
    )
}

/// `levenshtein`: similarity, so that more is better as elsewhere.
pub(super) fn levenshtein() -> Metric {
    Metric::new(
        "levenshtein@crossfade-1",
        "1 - edits / length of the longer text, in characters, with insertion, deletion and replacement at 1 each; two empty \
         texts are 1; the best reference counts",
        |case, answer| {
            let values = case.references.iter().map(|reference| similarity(&answer.text, reference));
            match values.collect::<Option<Vec<_>>>() {
                None => Score::unscored(Unscored::TooLong),
                Some(values) => values
                    .into_iter()
                    .max_by(f64::total_cmp)
                    .map_or(Score::unscored(Unscored::NoReference), Score::value),
            }
        },
    )
}

/// `edit_distance`.
pub(super) fn edit_distance() -> Metric {
    let definition =
        "insertions, deletions and replacements of characters from the answer to the nearest reference; less is better";
    Metric::new("edit_distance@crossfade-1", definition, |case, answer| {
        let values = case.references.iter().map(|reference| edits(&answer.text, reference));
        match values.collect::<Option<Vec<_>>>() {
            None => Score::unscored(Unscored::TooLong),
            Some(values) => {
                let nearest = values.into_iter().min();
                nearest.map_or(Score::unscored(Unscored::NoReference), |edits| Score::value(edits as f64))
            }
        }
    })
    .lower_is_better()
    .within(UNBOUNDED)
}

/// From 0 on.
const UNBOUNDED: Range = Range { low: 0.0, high: f64::INFINITY };

/// `word_count`.
pub(super) fn word_count() -> Metric {
    let definition = "words of the answer, divided by white space, where there is a reference 1 when they are as many as it says, else 0";
    Metric::new("word_count@crossfade-1", definition, |case, answer| {
        let n = answer.text.split_whitespace().count() as f64;
        match case.references.first().map(|text| text.trim().parse::<f64>()) {
            None => Score::value(n),
            Some(Err(_)) => Score::unscored(Unscored::MalformedCase),
            Some(Ok(wanted)) => Score::is(wanted == n),
        }
    })
    .within(UNBOUNDED)
}

/// Steps of the edit distance that are taken: about a second of one core.
const MAX_STEPS: usize = 400_000_000;

/// `None` when it would take too many steps. By hand: `kitten` and `sitting` are 3 edits apart, so 1 - 3/7.
fn similarity(one: &str, other: &str) -> Option<f64> {
    let longer = one.chars().count().max(other.chars().count());
    let edits = edits(one, other)?;
    Some(if longer == 0 { 1.0 } else { 1.0 - edits as f64 / longer as f64 })
}

fn edits(one: &str, other: &str) -> Option<usize> {
    let n_steps = one.chars().count().saturating_mul(other.chars().count());
    (n_steps <= MAX_STEPS).then(|| strsim::levenshtein(one, other))
}

/// `regex`, with the pattern of the settings or the references as patterns.
pub(super) fn regex(pattern: Option<Regex>) -> Metric {
    let id = match &pattern {
        Some(pattern) => format!("regex@rust-regex-1:{}", serde_json::Value::from(pattern.as_str())),
        None => "regex@rust-regex-1".to_owned(),
    };
    Metric::new(
        id,
        "1 when the pattern (else: one of the references, read as patterns) matches anywhere in the answer, else 0; syntax of the \
         Rust crate regex, linear in the text",
        move |case, answer| match &pattern {
            Some(pattern) => Score::is(pattern.is_match(&answer.text)),
            None => match case.references.iter().map(|one| Regex::new(one)).collect::<Result<Vec<_>, _>>() {
                Err(_) => Score::unscored(Unscored::MalformedCase),
                Ok(patterns) if patterns.is_empty() => Score::unscored(Unscored::NoReference),
                Ok(patterns) => Score::is(patterns.iter().any(|pattern| pattern.is_match(&answer.text))),
            },
        },
    )
}

/// `non_empty`: the cheapest assertion of all.
pub(super) fn non_empty() -> Metric {
    Metric::new(
        "non_empty@crossfade-1",
        "1 when the answer has a character that is no white space, or calls a tool, else 0",
        |_: &Case, answer: &Answer| Score::is(!answer.text.trim().is_empty() || !answer.calls.is_empty()),
    )
}

fn any(case: &Case, holds: impl Fn(&str) -> bool) -> Score {
    if case.references.is_empty() {
        return Score::unscored(Unscored::NoReference);
    }
    Score::is(case.references.iter().any(|reference| holds(reference)))
}

fn all(case: &Case, holds: impl Fn(&str) -> bool) -> Score {
    if case.references.is_empty() {
        return Score::unscored(Unscored::NoReference);
    }
    Score::is(case.references.iter().all(|reference| holds(reference)))
}

#[cfg(test)]
mod tests {
    use super::super::named;
    use super::*;

    fn check(name: &str, answer: &str, references: &[&str]) -> Option<f64> {
        let case = Case { references: references.iter().map(|text| (*text).to_owned()).collect(), ..Case::default() };
        let answer = Answer { text: answer.to_owned(), ..Answer::default() };
        named(name, &serde_json::Value::Null).unwrap().score(&case, &answer).as_value()
    }

    #[test]
    fn an_exact_match_forgives_white_space_around_it_and_nothing_else() {
        assert_eq!(check("exact_match", " Paris\n", &["Lyon", "Paris"]), Some(1.0));
        assert_eq!(check("exact_match", "paris", &["Paris"]), Some(0.0));
        assert_eq!(check("exact_match", "é", &["e\u{301}"]), Some(0.0));
        assert_eq!(check("exact_match", "Paris", &[]), None);
    }

    #[test]
    fn one_reference_is_enough_unless_all_are_asked_for() {
        assert_eq!(check("contains", "in 14 days", &["30", "14"]), Some(1.0));
        assert_eq!(check("contains_all", "in 14 days", &["30", "14"]), Some(0.0));
        assert_eq!(check("icontains", "GROẞ", &["groß"]), Some(1.0));
        assert_eq!(check("starts_with", "Sorry, no", &["Sorry"]), Some(1.0));
    }

    #[test]
    fn similarity_counts_characters_and_not_bytes() {
        assert_eq!(check("levenshtein", "kitten", &["sitting"]), Some(1.0 - 3.0 / 7.0));
        assert_eq!(check("levenshtein", "ä", &["a"]), Some(0.0));
        assert_eq!(check("levenshtein", "", &[""]), Some(1.0));
        assert_eq!(check("edit_distance", "kitten", &["sitting", "mitten"]), Some(1.0));
        assert_eq!(check("word_count", " one  two\n", &[]), Some(2.0));
        assert_eq!((check("word_count", "a b", &["2"]), check("word_count", "a", &["2"])), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn a_pattern_that_cannot_be_read_leaves_the_case_unscored() {
        assert_eq!(check("regex", "order 4711", &[r"\b\d{4}\b"]), Some(1.0));
        assert_eq!(check("regex", "order 4711", &["("]), None);
        let metric = named("regex", &serde_json::json!({ "pattern": "^a+$" })).unwrap();
        assert_eq!(metric.id, r#"regex@rust-regex-1:"^a+$""#);
        assert!(named("regex", &serde_json::json!({ "pattern": "(" })).unwrap_err().to_string().contains("pattern"));
    }
}
