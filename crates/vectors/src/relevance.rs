//! Files of ranked lists and of relevance, in the formats that the field exchanges.
//!
//! A run is TREC's: `QUERY Q0 DOCUMENT RANK SCORE TAG` a line. Relevance is TREC's, `QUERY 0 DOCUMENT GRADE` a line, or BEIR's, `query-id`, `corpus-id` and
//! `score` between tabs below a header (Thakur et al., "BEIR", 2021).

use std::collections::BTreeMap;

/// Scores of documents by query.
pub type Scored = BTreeMap<String, BTreeMap<String, f64>>;

/// A line that is none of the format.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {why}")]
pub struct Malformed {
    /// Which, from 1.
    pub line: usize,
    /// Why not.
    pub why: String,
}

/// Reads a run. Ranks are not read: the order is by score, as in trec_eval.
///
/// # Errors
/// Where a line has not six words, a score is no number, or a document stands twice for a query.
pub fn run(text: &str) -> Result<Scored, Malformed> {
    let mut run = Scored::new();
    for (line, words) in lines(text, spaces) {
        let [query, _, document, _, score, _] = words[..] else {
            return Err(malformed(line, "a run has `QUERY Q0 DOCUMENT RANK SCORE TAG` in each line"));
        };
        add(&mut run, line, (query, document, score))?;
    }
    Ok(run)
}

/// Reads relevance. A grade below 0 (TREC's "not judged, spam") is 0.
///
/// # Errors
/// Where a line is of neither format, a grade is no number, or a document stands twice for a query.
pub fn relevance(text: &str) -> Result<Scored, Malformed> {
    let mut relevance = Scored::new();
    let is_beir = text.lines().next().is_some_and(|header| header.trim().starts_with("query-id"));
    let split = if is_beir { tabs } else { spaces };
    for (line, words) in lines(text, split).skip(usize::from(is_beir)) {
        let judged = match words[..] {
            [query, document, grade] if is_beir => (query, document, grade),
            [query, _, document, grade] if !is_beir => (query, document, grade),
            _ if is_beir => return Err(malformed(line, "below `query-id corpus-id score` each line has three words")),
            _ => {
                return Err(malformed(
                    line,
                    "write `QUERY 0 DOCUMENT GRADE` in each line, or begin with the header `query-id corpus-id score` of BEIR",
                ));
            }
        };
        add(&mut relevance, line, judged)?;
    }
    relevance.values_mut().flat_map(BTreeMap::values_mut).for_each(|grade| *grade = grade.max(0.0));
    Ok(relevance)
}

fn lines(text: &str, split: fn(&str) -> Vec<&str>) -> impl Iterator<Item = (usize, Vec<&str>)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).map(move |(at, line)| (at, split(line)))
}

fn spaces(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn tabs(line: &str) -> Vec<&str> {
    line.trim_end_matches('\r').split('\t').collect()
}

fn add(to: &mut Scored, line: usize, (query, document, number): (&str, &str, &str)) -> Result<(), Malformed> {
    let number: f64 = number.parse().map_err(|_| malformed(line, &format!("`{number}` is no number")))?;
    if !number.is_finite() {
        return Err(malformed(line, "a score has to be finite"));
    }
    match to.entry(query.to_owned()).or_default().insert(document.to_owned(), number) {
        Some(_) => Err(malformed(line, &format!("the document `{document}` stands twice for the query `{query}`"))),
        None => Ok(()),
    }
}

fn malformed(line: usize, why: &str) -> Malformed {
    Malformed { line, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_of_relevance_are_read() {
        let trec = relevance("q1 0 d1 2\nq1 0 d2 -1\n\nq2 0 d1 1\n").unwrap();
        assert_eq!((trec["q1"]["d1"], trec["q1"]["d2"], trec.len()), (2.0, 0.0, 2));
        let beir = relevance("query-id\tcorpus-id\tscore\r\nq1\td 1\t1\r\n").unwrap();
        assert_eq!(beir["q1"]["d 1"], 1.0);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(relevance("q1 0 d1 2\nq1 d1\n").unwrap_err().line, 2);
        assert_eq!(run("q Q0 d 1 high tag").unwrap_err().to_string(), "line 1: `high` is no number");
        assert_eq!(run("q Q0 d 1 0.5 t\nq Q0 d 2 0.4 t").unwrap_err().line, 2);
        assert_eq!(run("q Q0 d 1 0.5 t").unwrap()["q"]["d"], 0.5);
    }
}
