//! Answers made of documents: whether what is said is cited and the citations hold (ALCE, Gao et al. 2023), whether quotes stand where
//! they are said to, whether claims are supported (the formula of RAGAS's faithfulness), and whether the answer abstains where the
//! documents do not hold one.
//!
//! Whether documents entail a sentence is a model's word, or a person's: the metric says what has to be asked ([`questions`]) and
//! takes the answers ([`Judged::entailed`](super::Judged)). Quotes need nobody.

use std::collections::BTreeSet;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::refusal::abstains;
use super::{Answer, Basis, Case, Metric, Score, Unscored};

/// A sentence of an answer and what it cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The sentence without its citations.
    pub text: String,
    /// Where it stands in the answer, its citations included, in bytes.
    pub span: std::ops::Range<usize>,
    /// The numbers cited, as they are written: the first document is 1.
    pub cited: Vec<u64>,
}

/// Whether documents together entail a statement of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entailment {
    /// Which statement, from 0.
    pub statement: usize,
    /// Which documents, from 1 as they are cited, ascending.
    pub documents: Vec<u64>,
    /// Whether they do.
    pub holds: bool,
}

/// What a model, or a person, has to say of an answer before a metric has a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whether what a statement cites entails it, all together.
    pub entailed: bool,
    /// Whether parts of what a statement cites entail it.
    pub parts: bool,
    /// The claims of the answer, and which of them are supported.
    pub claims: bool,
    /// Whether the answer abstains.
    pub abstained: bool,
}

impl Needs {
    /// Whether anything is needed.
    #[must_use]
    pub fn is_any(self) -> bool {
        self != Needs::default()
    }

    /// What this or the other needs.
    #[must_use]
    pub fn and(self, other: Needs) -> Needs {
        Needs {
            entailed: self.entailed || other.entailed,
            parts: self.parts || other.parts,
            claims: self.claims || other.claims,
            abstained: self.abstained || other.abstained,
        }
    }
}

/// A claim of an answer, and whether the documents support it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// The claim.
    pub text: String,
    /// Whether it is supported.
    pub supported: bool,
}

/// The figures of one answer's citations.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Statements whose documents entail them, among all.
    pub recall: f64,
    /// Citations that are needed for a statement that is entailed, among all; 0 without citations.
    pub precision: f64,
}

/// Citations that are looked at in one sentence, as in ALCE.
const MOST_CITED: usize = 3;

/// The statements of an answer. A sentence ends at a line's end, or at `.`, `!`, `?` or `。` with white space or a citation behind it;
/// citations directly behind the end belong to it. ALCE splits with NLTK's trained tokenizer, which knows abbreviations; this
/// rule does not, and needs no model.
#[must_use]
pub fn statements(answer: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut start = 0;
    for end in ends(answer) {
        let sentence = &answer[start..end];
        let (text, cited) = without_citations(sentence);
        if !text.trim().is_empty() || !cited.is_empty() {
            found.push(Statement { text: text.trim().to_owned(), span: start..end, cited });
        }
        start = end;
    }
    found
}

/// Where sentences end, in bytes.
fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let mut end = at + c.len_utf8();
        if c == '\n' {
            ends.push(end);
            continue;
        }
        if !matches!(c, '.' | '!' | '?' | '。' | '！' | '？') {
            continue;
        }
        // What follows the mark: closing quotes, then citations with or without a space before them.
        let behind = &text[end..];
        let closing = behind.len() - behind.trim_start_matches(['"', '”', '»', ')', '\'']).len();
        end += closing;
        while let Some((_, n)) = citation(&text[end..]) {
            end += n;
        }
        if text[end..].chars().next().is_none_or(char::is_whitespace) || matches!(c, '。' | '！' | '？') {
            ends.push(end);
            while rest.next_if(|(at, _)| *at < end).is_some() {}
        }
    }
    if ends.last() != Some(&text.len()) {
        ends.push(text.len());
    }
    ends
}

/// A citation at the beginning, `[1]` or `[doc1]`, spaces before it allowed: its number and its length in bytes.
fn citation(text: &str) -> Option<(u64, usize)> {
    let inner = text.trim_start_matches(' ').strip_prefix('[')?;
    let inner = inner.strip_prefix("doc").unwrap_or(inner);
    let n_digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let number = inner[..n_digits].parse().ok()?;
    inner[n_digits..].starts_with(']').then_some((number, text.len() - inner.len() + n_digits + 1))
}

fn without_citations(sentence: &str) -> (String, Vec<u64>) {
    let mut text = String::with_capacity(sentence.len());
    let mut cited = Vec::new();
    let mut at = 0;
    while let Some(c) = sentence[at..].chars().next() {
        if let Some((number, n)) = citation(&sentence[at..]) {
            cited.push(number);
            at += n;
        } else {
            text.push(c);
            at += c.len_utf8();
        }
    }
    (text, cited)
}

/// The figures of statements that cite documents 1 to `n_documents`. `entails` says whether documents together entail a statement;
/// when it does not know, there are no figures. `None` as well when there is no statement.
///
/// By hand: one statement cites 1 and 2, 1 alone entails it: recall 1; 2 is not needed: precision 1/2.
pub fn figures(
    cited: &[Vec<u64>],
    n_documents: u64,
    mut entails: impl FnMut(usize, &[u64]) -> Option<bool>,
) -> Option<Figures> {
    let mut n_entailed = 0_usize;
    let mut n_needed = 0_usize;
    let mut n_cited = 0_usize;
    for (statement, cited) in cited.iter().enumerate() {
        // A citation of nothing makes the whole statement unsupported, and its citations are not counted.
        if cited.is_empty() || cited.iter().any(|number| !(1..=n_documents).contains(number)) {
            continue;
        }
        let cited = &cited[..cited.len().min(MOST_CITED)];
        n_cited += cited.len();
        if !entails(statement, cited)? {
            continue;
        }
        n_entailed += 1;
        if cited.len() == 1 {
            n_needed += 1;
            continue;
        }
        for (place, number) in cited.iter().enumerate() {
            if entails(statement, &[*number])? {
                n_needed += 1;
                continue;
            }
            let first = cited.iter().position(|other| other == number).unwrap_or(place);
            let others: Vec<u64> = (0..cited.len()).filter(|at| *at != first).map(|at| cited[at]).collect();
            n_needed += usize::from(!entails(statement, &others)?);
        }
    }
    let quotient = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let figures = Figures { recall: quotient(n_entailed, cited.len()), precision: quotient(n_needed, n_cited) };
    (!cited.is_empty()).then_some(figures)
}

/// What has to be known of an answer to score its citations: statements and sets of documents. The answers that are not needed in
/// the end are asked as well. Recall alone needs no parts of what a statement cites.
#[must_use]
pub fn questions(answer: &str, n_documents: u64, parts: bool) -> Vec<Entailment> {
    let mut questions: BTreeSet<(usize, Vec<u64>)> = BTreeSet::new();
    let (texts, cited): (Vec<String>, Vec<Vec<u64>>) =
        statements(answer).into_iter().map(|statement| (statement.text, statement.cited)).unzip();
    for all_hold in [true, false] {
        figures(&cited, n_documents, |statement, documents| {
            let is_whole = documents.len() == cited[statement].len().min(MOST_CITED);
            if (parts || is_whole) && !texts[statement].is_empty() {
                questions.insert((statement, as_set(documents)));
            }
            // Every set once as if it held, and once as if only whole sets held.
            Some(all_hold || is_whole)
        });
    }
    let question = |(statement, documents)| Entailment { statement, documents, holds: false };
    questions.into_iter().map(question).collect()
}

fn as_set(documents: &[u64]) -> Vec<u64> {
    documents.iter().copied().collect::<BTreeSet<u64>>().into_iter().collect()
}

/// `citation_recall` and `citation_precision`, by the judge of this id.
pub(super) fn metric(part: Part, judge: Option<&str>) -> Metric {
    let (name, definition) = match part {
        Part::Recall => {
            ("citation_recall", "statements that the documents they cite entail together, among all statements")
        }
        Part::Precision => (
            "citation_precision",
            "citations of an entailed statement that entail it alone or without which the others do not, among all",
        ),
    };
    let measured = Metric::new(format!("{name}@alce-246c476{}", by(judge)), definition, move |case, answer| {
        if case.documents.is_empty() {
            return Score::unscored(Unscored::NoContext);
        }
        let statements = statements(&answer.text);
        if statements.is_empty() {
            return Score::unscored(Unscored::NoClaims);
        }
        let known = answer.judged.as_ref().and_then(|judged| judged.entailed.as_ref());
        let (texts, cited): (Vec<String>, Vec<Vec<u64>>) =
            statements.into_iter().map(|statement| (statement.text, statement.cited)).unzip();
        let found = figures(&cited, case.documents.len() as u64, |statement, documents| {
            // Citations by themselves state nothing that could be entailed.
            if texts[statement].is_empty() {
                return Some(false);
            }
            // Recall goes by whole sets: what parts of them entail is not asked for it.
            if part == Part::Recall && documents.len() < cited[statement].len().min(MOST_CITED) {
                return Some(false);
            }
            let documents = as_set(documents);
            known?.iter().find(|one| one.statement == statement && one.documents == documents).map(|one| one.holds)
        });
        let Some(figures) = found else { return Score::unscored(missing(answer)) };
        Score::value(match part {
            Part::Recall => figures.recall,
            Part::Precision => figures.precision,
        })
    });
    measured.needing(Needs { entailed: true, parts: part == Part::Precision, ..Needs::default() })
}

/// Which of the two figures of citations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Of statements, those that are entailed.
    Recall,
    /// Of citations, those that are needed.
    Precision,
}

/// Whose word it is, as a part of an id.
pub(super) fn by(judge: Option<&str>) -> String {
    judge.map_or_else(String::new, |judge| format!(":judge={judge}"))
}

/// Why a judge's word is missing.
pub(super) fn missing(answer: &Answer) -> Unscored {
    answer.judged.as_ref().and_then(|judged| judged.missing).unwrap_or(Unscored::NoJudgement)
}

/// `citation_format`: citations that name a document there is.
pub(super) fn format() -> Metric {
    Metric::new(
        "citation_format@crossfade-1",
        "citations `[n]` whose number is that of a document, among all; without any: unscored",
        |case: &Case, answer| {
            let cited: Vec<u64> = statements(&answer.text).into_iter().flat_map(|statement| statement.cited).collect();
            if cited.is_empty() {
                return Score::unscored(Unscored::NoClaims);
            }
            let n = case.documents.len() as u64;
            let good = cited.iter().filter(|number| (1..=n).contains(number)).count();
            Score::value(good as f64 / cited.len() as f64)
        },
    )
}

/// A quote in an answer, and where it stands in the document that is cited for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// What is quoted, in the answer, in bytes.
    pub span: std::ops::Range<usize>,
    /// The document, from 1, and the bytes of its text. `None`: in no document that the sentence cites.
    pub source: Option<(u64, std::ops::Range<usize>)>,
}

/// Every quote of an answer, with its place in a document that its sentence cites. White space of any length is equal, all else is
/// compared as it is written. A pair of quotation marks around fewer than three words is emphasis and no quote.
#[must_use]
pub fn quotes(answer: &str, documents: &[super::Document]) -> Vec<Quote> {
    let mut found = Vec::new();
    for statement in statements(answer) {
        for span in quoted(&answer[statement.span.clone()]) {
            let span = statement.span.start + span.start..statement.span.start + span.end;
            let source = statement.cited.iter().find_map(|number| {
                let document = documents.get(usize::try_from(number.checked_sub(1)?).ok()?)?;
                Some((*number, stands(&answer[span.clone()], &document.text)?))
            });
            found.push(Quote { span, source });
        }
    }
    found
}

/// What stands between quotation marks in a sentence.
fn quoted(sentence: &str) -> Vec<std::ops::Range<usize>> {
    let pairs = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('「', '」')];
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = sentence[at..].chars().next() {
        at += c.len_utf8();
        let Some((_, closing)) = pairs.iter().find(|(opening, _)| *opening == c) else { continue };
        let Some(n) = sentence[at..].find(*closing) else { continue };
        let inside = &sentence[at..at + n];
        if inside.split_whitespace().count() >= 3 || (c == '「' && inside.chars().count() >= 6) {
            found.push(at..at + n);
        }
        at += n + closing.len_utf8();
    }
    found
}

/// Where a quote stands in a text, in bytes. White space of any length is equal.
pub(crate) fn stands(quote: &str, text: &str) -> Option<std::ops::Range<usize>> {
    let words: Vec<String> = quote.split_whitespace().map(regex::escape).collect();
    let pattern = Regex::new(&words.join(r"\s+")).ok()?;
    pattern.find(text).map(|found| found.range())
}

/// `quote_in_source`.
pub(super) fn quote_in_source() -> Metric {
    Metric::new(
        "quote_in_source@crossfade-1",
        "quotes of three words or more that stand word for word in a document which their sentence cites, among all; without any: \
         unscored",
        |case: &Case, answer| {
            let quotes = quotes(&answer.text, &case.documents);
            if quotes.is_empty() {
                return Score::unscored(Unscored::NoClaims);
            }
            let good = quotes.iter().filter(|quote| quote.source.is_some()).count();
            Score::value(good as f64 / quotes.len() as f64)
        },
    )
}

/// `groundedness`, by the judge of this id.
pub(super) fn groundedness(judge: Option<&str>) -> Metric {
    let metric = Metric::new(
        format!("groundedness@ragas-0.4{}", by(judge)),
        "claims of the answer that the documents support, among all; an answer without a claim is unscored",
        |case: &Case, answer| match answer.judged.as_ref().and_then(|judged| judged.claims.as_ref()) {
            None if case.documents.is_empty() => Score::unscored(Unscored::NoContext),
            None => Score::unscored(missing(answer)),
            Some(claims) if claims.is_empty() => Score::unscored(Unscored::NoClaims),
            Some(claims) => {
                let n_supported = claims.iter().filter(|claim| claim.supported).count() as f64;
                let basis = Basis::Counts(vec![n_supported, claims.len() as f64]);
                Score::value(n_supported / claims.len() as f64).with_basis(basis)
            }
        },
    );
    metric.needing(Needs { claims: true, ..Needs::default() })
}

/// `abstention`: whether the answer abstains exactly where the documents hold no answer.
pub(super) fn abstention(abstains: Abstains, judge: Option<&str>) -> Metric {
    let metric = Metric::new(
        format!("abstention@crossfade-1{}", abstains.part_of_id(judge)),
        "1 when the answer abstains on a case that cannot be answered from its documents, or answers one that can, else 0; the \
         confusion of the two is in the basis",
        move |case, answer| {
            let Some(answerable) = case.answerable else { return Score::unscored(Unscored::NoReference) };
            let abstained = match abstains.of(answer) {
                Ok(abstained) => abstained,
                Err(why) => return Score::unscored(why),
            };
            let word = |abstains| if abstains { "abstained" } else { "answered" };
            let (expected, predicted) = (word(!answerable).to_owned(), word(abstained).to_owned());
            Score::is(answerable != abstained)
                .with_outcome(match (answerable, abstained) {
                    (true, false) => "answered",
                    (true, true) => "abstained_though_answerable",
                    (false, true) => "abstained",
                    (false, false) => "answered_without_basis",
                })
                .with_basis(Basis::Classes { expected, predicted })
        },
    );
    metric.needing(abstains.needs())
}

/// What says whether an answer abstains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Abstains {
    /// Its words, as far as they are English phrases that are known.
    #[default]
    Words,
    /// A judge.
    Judge,
}

impl Abstains {
    /// Whether it does.
    pub(super) fn of(self, answer: &Answer) -> Result<bool, Unscored> {
        match self {
            Abstains::Words => Ok(abstains(answer)),
            // Whoever calls a tool, or says nothing at all, does not say that it does not know.
            Abstains::Judge if !is_said(answer) => Ok(false),
            Abstains::Judge => {
                answer.judged.as_ref().and_then(|judged| judged.abstained).ok_or_else(|| missing(answer))
            }
        }
    }

    /// What that needs.
    pub(super) fn needs(self) -> Needs {
        Needs { abstained: self == Abstains::Judge, ..Needs::default() }
    }

    /// As a part of an id: two definitions are two.
    pub(super) fn part_of_id(self, judge: Option<&str>) -> String {
        match self {
            Abstains::Words => String::new(),
            Abstains::Judge => format!(":abstains=judge{}", by(judge)),
        }
    }
}

/// Whether there are words that could say that they do not know.
fn is_said(answer: &Answer) -> bool {
    let refusal = answer.refusal.as_deref().unwrap_or_default();
    answer.calls.is_empty() && !(answer.text.trim().is_empty() && refusal.trim().is_empty())
}

#[cfg(test)]
mod tests;
