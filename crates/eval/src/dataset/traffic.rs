//! Cases of recorded traffic: a filter, a stratified sample, no two that ask the same, nothing that identifies people, and
//! each with the exchange it came from.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use stats::random::Random;
use store::{BodyKind, Database, DatabaseError, ExchangeDetail, ExchangeFilter, ExchangeRow};
use wire::ids::ExchangeId;
use wire::record::Endpoint;

use super::Dataset;
use super::redact::Redaction;
use crate::answer;
use crate::case::{Case, Lineage, digest, text_of};
use crate::metric::calls::unreadable;

/// Exchanges looked at in one question to the store.
const PAGE: u32 = 500;

/// What is taken of the record.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Which exchanges; its limit and its `before` are not heeded.
    pub filter: ExchangeFilter,
    /// What the sample is spread over.
    pub strata: Vec<Stratum>,
    /// How many cases; all that there are where it is not said.
    pub sample: Option<usize>,
    /// What a right answer is.
    pub expected: ExpectedFrom,
    /// Decides which are drawn.
    pub seed: u64,
}

/// A property of an exchange that a sample is spread over; it becomes a slice of the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stratum {
    /// The route it came in by.
    Route,
    /// The target that answered.
    ServedBy,
    /// How long the prompt is: under 256 tokens, under 2048, or longer.
    Size,
    /// What its caller said of the answer: good, bad or nothing.
    Feedback,
    /// Whether it offers tools.
    Tools,
}

/// What becomes the right answer of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedFrom {
    /// Nothing: it is labelled by people later.
    None,
    /// The answer that was given, unless feedback calls it bad.
    Answer,
    /// The answer that was given where feedback calls it good; others have none.
    Feedback,
}

/// What became of the exchanges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Exchanges that match.
    pub matched: u64,
    /// Of these, no cases: not a chat, no body on record, not readable, not complete.
    pub unusable: u64,
    /// Of these, the same question as another.
    pub duplicates: u64,
    /// Of these, not drawn.
    pub not_drawn: u64,
    /// Places made unreadable.
    pub redactions: u64,
    /// Cases by stratum.
    pub strata: BTreeMap<String, u64>,
    /// Cases without a right answer because the one that was given calls a tool in a way that cannot be read.
    pub unreadable: u64,
    /// Cases whose right answer is what a target answered, by the target.
    pub answered_by: BTreeMap<String, u64>,
}

/// Why there is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    /// The store failed.
    #[error("the record cannot be read")]
    Store(#[from] DatabaseError),
}

/// An exchange that may become a case.
struct Candidate {
    id: ExchangeId,
    duplicates: u64,
}

/// Collects cases.
///
/// Two requests are the same question when their messages and tools are, letter case and blanks apart; the newest one stands. The
/// sample takes as many of each stratum as of any other, as far as it has them.
///
/// # Errors
/// When the record cannot be read.
pub fn collect(
    database: &Database,
    name: &str,
    (selection, redaction): (&Selection, &Redaction),
) -> Result<(Dataset, Tally), TrafficError> {
    let mut tally = Tally::default();
    let mut seen: BTreeMap<String, (String, usize)> = BTreeMap::new();
    let mut strata: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    let mut filter = ExchangeFilter { limit: Some(PAGE), ..selection.filter.clone() };
    loop {
        let page = database.list(&filter)?;
        for row in &page {
            tally.matched += 1;
            let Some((detail, request)) = usable(database, row)? else {
                tally.unusable += 1;
                continue;
            };
            let stratum = stratum(selection, &detail, &request).into_values().collect::<Vec<_>>().join(" / ");
            let question = sameness(&request);
            if let Some((stratum, idx)) = seen.get(&question) {
                tally.duplicates += 1;
                strata.entry(stratum.clone()).or_default()[*idx].duplicates += 1;
                continue;
            }
            let candidates = strata.entry(stratum.clone()).or_default();
            seen.insert(question, (stratum, candidates.len()));
            candidates.push(Candidate { id: row.id, duplicates: 0 });
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => filter.before = Some(last.id),
            _ => break,
        }
    }
    let drawn = draw(strata, selection, &mut tally);
    let mut cases = Vec::with_capacity(drawn.len());
    for (stratum, candidate) in drawn {
        if let Some(case) = case(database, &candidate, (selection, redaction), &mut tally)? {
            *tally.strata.entry(stratum).or_default() += 1;
            cases.push(case);
        }
    }
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    Ok((Dataset { name: name.to_owned(), cases }, tally))
}

/// The whole exchange and its request, when a case can be made of it.
fn usable(database: &Database, row: &ExchangeRow) -> Result<Option<(ExchangeDetail, Value)>, DatabaseError> {
    if row.endpoint.as_deref() != Some(Endpoint::ChatCompletions.as_str()) || row.outcome != "complete" {
        return Ok(None);
    }
    let Some(body) = database.body(row.id, BodyKind::Request)? else { return Ok(None) };
    let Ok(request) = serde_json::from_slice::<Value>(body.expose()) else { return Ok(None) };
    if !request["messages"].is_array() {
        return Ok(None);
    }
    Ok(database.show(row.id)?.map(|detail| (detail, request)))
}

fn stratum(selection: &Selection, detail: &ExchangeDetail, request: &Value) -> BTreeMap<String, String> {
    let row = &detail.exchange;
    let value = |stratum: Stratum| match stratum {
        Stratum::Route => ("route", row.route.clone().unwrap_or_default()),
        Stratum::ServedBy => ("served_by", row.served_by.clone().unwrap_or_default()),
        Stratum::Size => {
            let tokens = row.usage.map_or(0, |usage| usage.input_tokens);
            (
                "size",
                if tokens < 256 {
                    "short"
                } else if tokens < 2048 {
                    "middle"
                } else {
                    "long"
                }
                .to_owned(),
            )
        }
        Stratum::Feedback => ("feedback", feedback(detail).to_owned()),
        Stratum::Tools => ("tools", if request["tools"].is_array() { "offered" } else { "none" }.to_owned()),
    };
    selection.strata.iter().map(|stratum| value(*stratum)).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What feedback says of an exchange: one bad word outweighs good ones.
fn feedback(detail: &ExchangeDetail) -> &'static str {
    if detail.feedback.iter().any(|row| row.bad == Some(true)) {
        "bad"
    } else if detail.feedback.iter().any(|row| row.bad == Some(false)) {
        "good"
    } else {
        "none"
    }
}

/// The same for requests that ask the same.
fn sameness(request: &Value) -> String {
    let messages = request["messages"].as_array().into_iter().flatten();
    let mut text = String::new();
    for message in messages {
        let words = text_of(&message["content"]).to_lowercase();
        text.push_str(message["role"].as_str().unwrap_or_default());
        words.split_whitespace().for_each(|word| {
            text.push(' ');
            text.push_str(word);
        });
        text.push('\n');
        if !message["tool_calls"].is_null() {
            text.push_str(&crate::case::canonical(&message["tool_calls"]));
        }
    }
    digest(&[text.as_bytes(), crate::case::canonical(&request["tools"]).as_bytes()])
}

/// As many of each stratum as of any other, until there are enough.
fn draw(
    strata: BTreeMap<String, Vec<Candidate>>,
    selection: &Selection,
    tally: &mut Tally,
) -> Vec<(String, Candidate)> {
    let mut random = Random::new(selection.seed);
    let total: usize = strata.values().map(Vec::len).sum();
    let wanted = selection.sample.unwrap_or(total).min(total);
    let mut left: Vec<(String, Vec<Candidate>)> = strata.into_iter().collect();
    let mut drawn = Vec::with_capacity(wanted);
    while drawn.len() < wanted {
        for (stratum, candidates) in left.iter_mut().filter(|(_, candidates)| !candidates.is_empty()) {
            if drawn.len() < wanted {
                let idx = random.below(candidates.len());
                drawn.push((stratum.clone(), candidates.swap_remove(idx)));
            }
        }
    }
    tally.not_drawn = (total - wanted) as u64;
    drawn
}

fn case(
    database: &Database,
    candidate: &Candidate,
    (selection, redaction): (&Selection, &Redaction),
    tally: &mut Tally,
) -> Result<Option<Case>, DatabaseError> {
    let Some(detail) = database.show(candidate.id)? else { return Ok(None) };
    let Some((detail, mut request)) = usable(database, &detail.exchange)? else { return Ok(None) };
    let slices = stratum(selection, &detail, &request);
    let said = feedback(&detail);
    let wants = match selection.expected {
        ExpectedFrom::None => false,
        ExpectedFrom::Answer => said != "bad",
        ExpectedFrom::Feedback => said == "good",
    };
    let body = if wants { database.body(candidate.id, BodyKind::Answer)? } else { None };
    let mut expected: Vec<Value> =
        body.and_then(|body| answer::read(body.expose())).map(|answer| answer.as_expected()).into_iter().collect();
    if !unreadable(&expected).is_empty() {
        // A call that nobody can read is no right answer, and no sign that none is right.
        tally.unreadable += 1;
        expected.clear();
    }
    let mut redactions = redaction.value(&mut request);
    redactions += expected.iter_mut().map(|answer| redaction.value(answer)).sum::<u64>();
    tally.redactions += redactions;
    let Value::Object(mut request) = request else { return Ok(None) };
    // How it was asked is the run's matter, and so is who is asked; whose it was is nobody's.
    for name in
        ["model", "stream", "stream_options", "user", "metadata", "store", "safety_identifier", "prompt_cache_key"]
    {
        request.remove(name);
    }
    let row = &detail.exchange;
    let source = Lineage {
        exchange: candidate.id.to_string(),
        route: row.route.clone(),
        answered_by: row.served_by.clone().filter(|_| !expected.is_empty()),
        duplicates: candidate.duplicates,
        redactions,
    };
    if let Some(target) = &source.answered_by {
        *tally.answered_by.entry(target.clone()).or_default() += 1;
    }
    // Requests of one conversation or user are not independent.
    let cluster = row.unit.map(|unit| format!("{unit:016x}"));
    let case = Case::asking(candidate.id.to_string(), "", expected);
    Ok(Some(Case { request, slices, cluster, source: Some(source), ..case }))
}
