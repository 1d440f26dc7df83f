//! Verdicts of people in a file: what they filled in beside the pairs that were handed out to them.
//!
//! Lines of JSON, `{"pair", "choice"}` with `reviewer`, `reason` and `seconds` where they are known, or CSV with these headings. What was
//! handed out (`question`, `first`, `second`) may stand beside and is not read. A file is read whole or not at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::{Problems, csv_rows};
use crate::review::Choice;

/// One verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Where it stands in the file, from 1.
    #[serde(default)]
    pub line: usize,
    /// What the pair is called.
    pub pair: String,
    /// Which answer is better.
    pub choice: Choice,
    /// Who says so, where the file says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, where somebody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

const MEMBERS: [&str; 5] = ["pair", "choice", "reviewer", "reason", "seconds"];
/// What was handed out and came back.
const HANDED_OUT: [&str; 3] = ["question", "first", "second"];
/// The longest a verdict can take, in seconds.
const LONGEST: f64 = 86_400.0;

/// The verdicts of a file, and how many of its pairs nobody judged.
///
/// # Errors
/// With everything that is wrong.
pub fn read(file: &str, text: &str) -> Result<(Vec<Verdict>, usize), Problems> {
    let mut problems = Problems::of(file);
    let rows = if text.trim_start().starts_with('{') { lines(text, &mut problems) } else { table(text, &mut problems) };
    let (mut verdicts, mut n_blank) = (Vec::new(), 0);
    let mut first_at: BTreeMap<String, usize> = BTreeMap::new();
    for (line, row) in rows {
        let word = row.get("choice").map(|word| word.trim().to_lowercase()).unwrap_or_default();
        let pair = row.get("pair").map(|pair| pair.trim().to_owned()).unwrap_or_default();
        if pair.is_empty() {
            problems.note(line, "pair", "says no pair");
        } else if let Some(before) = first_at.insert(pair.clone(), line) {
            problems.note(line, "pair", format!("`{pair}` is judged in line {before} already"));
        }
        if word.is_empty() {
            n_blank += 1;
            continue;
        }
        let choice = Choice::named(&word);
        if choice.is_none() {
            problems.note(line, "choice", format!("`{word}` is none of first, second, tie"));
        }
        let text = |name: &str| row.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let seconds = text("seconds").map(|text| text.parse().ok().filter(|seconds| (0.0..=LONGEST).contains(seconds)));
        if seconds == Some(None) {
            problems.note(line, "seconds", "expected a number from 0 to 86400");
        }
        let (reviewer, reason) = (text("reviewer"), text("reason"));
        verdicts.extend(choice.map(|choice| Verdict {
            line,
            pair,
            choice,
            reviewer,
            reason,
            seconds: seconds.flatten(),
        }));
    }
    if verdicts.is_empty() && problems.n == 0 {
        problems.note(1, "", "no verdict is in it");
    }
    problems.shown.sort_by_key(|problem| problem.line);
    problems.or((verdicts, n_blank))
}

type Rows = Vec<(usize, BTreeMap<String, String>)>;

fn lines(text: &str, problems: &mut Problems) -> Rows {
    let mut rows = Vec::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = idx + 1;
        let members = match serde_json::from_str(line) {
            Ok(Value::Object(members)) => members,
            Ok(_) => {
                problems.note(at, "", "expected an object");
                continue;
            }
            Err(error) => {
                problems.note(at, "", format!("no JSON: {error}"));
                continue;
            }
        };
        let mut row = BTreeMap::new();
        for (name, value) in members {
            known(at, &name, problems);
            match value {
                Value::Null => {}
                Value::String(text) => drop(row.insert(name, text)),
                Value::Number(number) if name == "seconds" => drop(row.insert(name, number.to_string())),
                _ => problems.note(at, name, "expected a text"),
            }
        }
        rows.push((at, row));
    }
    rows
}

fn table(text: &str, problems: &mut Problems) -> Rows {
    let mut rows = csv_rows(text, problems).into_iter();
    let Some((line, headings)) = rows.next() else { return Vec::new() };
    let headings: Vec<String> = headings.iter().map(|heading| heading.trim().to_lowercase()).collect();
    headings.iter().for_each(|heading| known(line, heading, problems));
    for name in ["pair", "choice"].into_iter().filter(|name| !headings.iter().any(|heading| heading == name)) {
        problems.note(line, name, "there is no such column");
    }
    if problems.n > 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (line, cells) in rows.filter(|(_, cells)| cells.len() > 1 || cells.first().is_some_and(|cell| !cell.is_empty()))
    {
        if cells.len() == headings.len() {
            found.push((line, headings.iter().cloned().zip(cells).collect()));
        } else {
            problems.note(line, "", format!("{} columns, where the headings are {}", cells.len(), headings.len()));
        }
    }
    found
}

fn known(line: usize, name: &str, problems: &mut Problems) {
    if !MEMBERS.contains(&name) && !HANDED_OUT.contains(&name) {
        problems.note(line, name, format!("unknown; there are {}", MEMBERS.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match read("f", text) {
            Ok((verdicts, n_blank)) => {
                let of = |verdict: &Verdict| {
                    let Verdict { line, pair, choice, reviewer, reason, seconds } = verdict;
                    let choice = choice.as_str();
                    let more = [reviewer.clone(), reason.clone(), seconds.map(|seconds| seconds.to_string())];
                    format!("{line} {pair} {choice} {}", more.into_iter().flatten().collect::<Vec<_>>().join(" "))
                };
                format!("{} +{n_blank}", verdicts.iter().map(of).collect::<Vec<_>>().join("; "))
            }
            Err(problems) => problems.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn verdicts_are_read_from_lines_and_tables_and_pairs_without_one_are_counted() {
        check(
            "{\"pair\":\"a\",\"question\":\"?\",\"first\":\"1\",\"second\":\"2\",\"choice\":\"First\"}\n\n{\"pair\":\"b\",\"choice\":null}\n{\"pair\":\"c\",\"choice\":\"tie\",\"seconds\":2.5,\"reason\":\"both\"}",
            "1 a first ; 4 c tie both 2.5 +1",
        );
        check("Pair,choice,reviewer,question\nx,second,ann,\"a, b\nc\"\ny,,ann,\n", "2 x second ann +1");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        check(
            "{\"pair\":\"a\",\"choice\":\"a\"}\n{\"pair\":\"a\",\"choice\":\"tie\"}\n{\"choice\":\"tie\",\"seconds\":-1}\nno\n{\"pair\":\"z\",\"verdict\":\"tie\"}",
            "f:1:choice: `a` is none of first, second, tie\nf:2:pair: `a` is judged in line 1 already\nf:3:pair: says no pair\nf:3:seconds: expected a number from 0 to 86400\nf:4: no JSON: expected ident at line 1 column 2\nf:5:verdict: unknown; there are pair, choice, reviewer, reason, seconds",
        );
    }
}
