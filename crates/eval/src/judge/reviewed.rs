//! Live pairs that people judged in a panel, beside what the judge said of them while they came.
//!
//! The record of a pair holds the judge's word as text ([`word`] reads it): the id of the definition, and what both answers are worth. What several
//! people say of a pair is one word, as in a run: that of most of them. Neither answer will do is neither.

use std::collections::BTreeMap;

use store::{Database, DatabaseError};

use super::trust::{Labels, place};

/// What people said, in these panels, of pairs that the judge of this id judged.
///
/// # Errors
/// When one of them cannot be read. One that is not there, or holds no pair that the judge judged, is missing among the labels.
pub(crate) fn labels(database: &Database, judge: &str, panels: &[String]) -> Result<Labels, DatabaseError> {
    let mut all = Labels::default();
    for panel in panels {
        let rows = database.panel_judged(panel)?;
        let mut people: BTreeMap<u64, (Vec<f64>, Option<f64>)> = BTreeMap::new();
        for row in &rows {
            let said = match (row.verdict.as_str(), row.candidate_is_a) {
                ("a", true) | ("b", false) => 1.0,
                ("a", false) | ("b", true) => 0.0,
                _ => 0.5,
            };
            let (verdicts, of_judge) = people.entry(row.pair).or_default();
            verdicts.push(said);
            *of_judge = row.details.iter().find_map(|detail| word(judge, detail));
        }
        let n_before: u64 = all.table.iter().flatten().sum();
        for (verdicts, of_judge) in people.values() {
            let of_people = verdicts.iter().sum::<f64>() / verdicts.len() as f64;
            match of_judge {
                Some(of_judge) => all.table[place(of_people)][place(*of_judge)] += 1,
                None => all.n_unscored += 1,
            }
        }
        if all.table.iter().flatten().sum::<u64>() == n_before {
            all.missing.push(format!("no pair of the panel `{panel}` is judged by people and by the same judge"));
        }
    }
    Ok(all)
}

/// What the judge of this id prefers, by the record of a pair: 1 the candidate, 0.5 neither, 0 the baseline; nothing where it is not its word. The text
/// is `ID:live-1[...]: good / bad; preferred 1 / 0`, or `grade 4 / 2.5`, with what checks say before it and notes after it.
fn word(judge: &str, detail: &str) -> Option<f64> {
    let (_, rest) = detail.split_once(&format!("{judge}:live-1"))?;
    let (_, values) = rest.split_once("; preferred ").or_else(|| rest.split_once("; grade "))?;
    let values = values.split(';').next()?;
    let (baseline, candidate) = values.split_once(" / ")?;
    let (baseline, candidate): (f64, f64) = (baseline.trim().parse().ok()?, candidate.trim().parse().ok()?);
    Some(0.5 + 0.5 * f64::from(i8::from(candidate > baseline) - i8::from(candidate < baseline)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_judges_word_is_read_from_the_record_of_a_pair_and_no_other_judges_is() {
        let check = |detail: &str, expected: Option<f64>| assert_eq!(word("judge.pairwise@1:a-b", detail), expected);
        check("judge.pairwise@1:a-b:live-1: bad / good; preferred 0 / 1", Some(1.0));
        check(
            "checks@2: good / good; json_valid 1 / 1; judge.pairwise@1:a-b:live-1: good / bad; preferred 1 / 0; not trusted, decides nothing",
            Some(0.0),
        );
        check("judge.pairwise@1:a-b:live-1:from=4: good / good; grade 4.5 / 4.5; drawn 0.9", Some(0.5));
        check("judge.pairwise@1:a-c:live-1: bad / good; preferred 0 / 1", None);
        check("checks@2: good / good; json_valid 1 / 1", None);
    }
}
