//! Tests in a table of comma-separated values: a row each, its columns the variables, and columns of a name with two underscores what is
//! asserted and how.

use serde_json::Value;

use super::assertions::is_known;
use super::{Located, LocatedKind};
use crate::dataset::Problems;
use crate::dataset::csv::rows;

/// The rows as tests of a list, each at the line on which it begins.
///
/// # Errors
/// What is wrong with the table, by its own lines.
pub(super) fn tests(file: &str, text: &str) -> Result<Located, Problems> {
    let mut problems = Problems::of(file);
    let mut rows = rows(text.trim_start_matches('\u{feff}'), &mut problems).into_iter();
    let (first, headings) = rows.next().unwrap_or_default();
    let mut tests = Vec::new();
    for (line, cells) in rows {
        if cells.len() == 1 && cells[0].is_empty() {
            continue;
        }
        if cells.len() != headings.len() {
            problems.note(line, "", format!("{} columns, where the headings are {}", cells.len(), headings.len()));
            continue;
        }
        tests.push(test(line, &headings, cells));
    }
    problems.or(located(first.max(1), LocatedKind::List(tests)))
}

fn located(line: usize, kind: LocatedKind) -> Located {
    Located { line, column: 1, kind }
}

fn test(line: usize, headings: &[String], cells: Vec<String>) -> Located {
    let scalar = |value: Value| located(line, LocatedKind::Scalar(value));
    let map = |members| located(line, LocatedKind::Map(members));
    let (mut members, mut variables, mut options) = (Vec::new(), Vec::new(), Vec::new());
    let (mut asserted, mut metadata, mut metric) = (Vec::new(), Vec::new(), None);
    for (heading, cell) in headings.iter().zip(cells) {
        let Some(name) = heading.strip_prefix("__") else {
            variables.push((heading.clone(), scalar(Value::String(cell))));
            continue;
        };
        if cell.trim().is_empty() {
            continue;
        }
        match name {
            "prefix" | "suffix" => options.push((name.to_owned(), scalar(Value::String(cell)))),
            "metric" => metric = Some(cell),
            "threshold" => members.push((name.to_owned(), scalar(number(&cell)))),
            _ if name.starts_with("expected") => asserted.push(cell),
            _ => match name.strip_prefix("metadata:") {
                Some(name) => metadata.push((name.trim_end_matches("[]").to_owned(), scalar(Value::String(cell)))),
                // Another name is one that a test may have, or one that nobody knows and is named as such.
                None => members.push((name.to_owned(), scalar(Value::String(cell)))),
            },
        }
    }
    members.push(("vars".to_owned(), map(variables)));
    let assertion = |expected: String| {
        let (kind, value, threshold) = assertion(&expected);
        let mut members = vec![("type".to_owned(), scalar(kind.into()))];
        members.extend(value.map(|value| ("value".to_owned(), scalar(value.into()))));
        members.extend(threshold.map(|threshold| ("threshold".to_owned(), scalar(threshold.into()))));
        members.extend(metric.clone().map(|metric| ("metric".to_owned(), scalar(metric.into()))));
        map(members)
    };
    let asserted: Vec<Located> = asserted.into_iter().map(assertion).collect();
    if !asserted.is_empty() {
        members.push(("assert".to_owned(), located(line, LocatedKind::List(asserted))));
    }
    for (name, of) in [("options", options), ("metadata", metadata)] {
        if !of.is_empty() {
            members.push((name.to_owned(), map(of)));
        }
    }
    map(members)
}

fn number(text: &str) -> Value {
    text.trim().parse::<f64>().map_or_else(|_| Value::from(text), Value::from)
}

/// `not-contains: text`, `levenshtein(3): text`, code with its language before it; anything else is what the answer has to equal.
fn assertion(expected: &str) -> (String, Option<String>, Option<f64>) {
    let begins = |words: &[&str]| words.iter().find_map(|word| expected.strip_prefix(word)).map(str::to_owned);
    if let Some(code) = begins(&["javascript:", "fn:", "eval:"]) {
        return ("javascript".to_owned(), Some(code), None);
    }
    if let Some(rubric) = begins(&["grade:", "llm-rubric:"]) {
        return ("llm-rubric".to_owned(), Some(rubric.trim().to_owned()), None);
    }
    let is_file_of = |ends: [&str; 2]| {
        expected.starts_with("file://")
            && ends.iter().any(|end| expected.ends_with(end) || expected.contains(&format!("{end}:")))
    };
    if is_file_of([".py", ".py"]) || expected.starts_with("python:") {
        return ("python".to_owned(), Some(expected.to_owned()), None);
    }
    if is_file_of([".js", ".ts"]) {
        return ("javascript".to_owned(), Some(expected.to_owned()), None);
    }
    let (head, value) =
        expected.split_once(':').map_or((expected, None), |(head, value)| (head, Some(value.trim().to_owned())));
    let (word, threshold) = match head.split_once('(').and_then(|(word, rest)| Some((word, rest.strip_suffix(')')?))) {
        Some((word, inside)) => (word, inside.parse::<f64>().ok()),
        None => (head, None),
    };
    let kind = word.strip_prefix("not-").unwrap_or(word);
    if !is_known(kind) || (head.contains('(') && threshold.is_none()) {
        return ("equals".to_owned(), Some(expected.to_owned()), None);
    }
    let usual = matches!(kind, "cost" | "latency" | "levenshtein" | "rouge-n").then_some(0.75);
    (word.to_owned(), value, threshold.filter(|threshold| *threshold > 0.0).or(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: &str, kind: &str, value: Option<&str>, threshold: Option<f64>) {
        assert_eq!(assertion(expected), (kind.to_owned(), value.map(str::to_owned), threshold));
    }

    #[test]
    fn what_a_cell_expects_is_an_assertion_or_the_answer_itself() {
        check("Paris", "equals", Some("Paris"), None);
        check("Note: at 5", "equals", Some("Note: at 5"), None);
        check("contains: Paris", "contains", Some("Paris"), None);
        check("not-icontains:x:y", "not-icontains", Some("x:y"), None);
        check("levenshtein(3): abc", "levenshtein", Some("abc"), Some(3.0));
        check("rouge-n: abc", "rouge-n", Some("abc"), Some(0.75));
        check("is-json", "is-json", None, None);
        check("fn: output.length", "javascript", Some(" output.length"), None);
        check("grade: is polite", "llm-rubric", Some("is polite"), None);
        check("file://check.py", "python", Some("file://check.py"), None);
        check("contains(x): a", "equals", Some("contains(x): a"), None);
    }
}
