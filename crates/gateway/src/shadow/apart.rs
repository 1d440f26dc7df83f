//! How far two answers to the same request are apart: whether they came, why they ended, whether the model declined, what they say
//! as JSON and what they call. All of it is arithmetic over bytes that are there; what words mean is asked of somebody else
//! (`meaning.rs`).

mod fields;
mod said;

use std::collections::BTreeMap;

use rollout::Comparison;
use serde_json::Value;
use wire::failure::FailureKind;

pub(super) use fields::Ignore;
pub(super) use said::{Said, said};

use super::Heard;

/// A distance from 0 to 1, and where it comes from.
pub(super) type Distance = (f64, Option<String>);

/// What could be compared of two answers.
#[derive(Debug, Default)]
pub(super) struct Apart {
    pub(super) distances: BTreeMap<Comparison, Distance>,
    /// Both answered: a kind that is not among the distances has nothing in either.
    pub(super) both_answered: bool,
    /// Why the rest could not be compared.
    pub(super) not_compared: Option<&'static str>,
}

/// One side: how it ended, and what it says.
#[derive(Debug)]
pub(super) struct Side {
    failure: Option<FailureKind>,
    pub(super) said: Result<Said, &'static str>,
}

impl Side {
    /// Reads an answer.
    pub(super) fn of(heard: &Heard) -> Self {
        let said = if heard.failure.is_some() {
            Err("failed")
        } else if heard.unkept {
            Err("memory_full")
        } else if heard.n_bytes > 0 && (heard.answer.is_empty() || (heard.answer.len() as u64) < heard.n_bytes) {
            Err("too_long")
        } else {
            said(&heard.answer, heard.finish_reason.as_deref()).ok_or("no_text")
        };
        Self { failure: heard.failure, said }
    }
}

/// Compares two sides.
pub(super) fn compare(first: &Side, second: &Side, ignore: &Ignore) -> Apart {
    let mut apart = Apart::default();
    let word = |side: &Side| side.failure.map_or("answered", FailureKind::as_str);
    let differs =
        |differs: bool, (a, b): (&str, &str)| (f64::from(u8::from(differs)), differs.then(|| format!("{a} / {b}")));
    let (one, other) = (word(first), word(second));
    apart.distances.insert(Comparison::Outcome, differs(one != other, (one, other)));
    if first.failure.is_some() || second.failure.is_some() {
        return apart;
    }
    let (one, other) = match (&first.said, &second.said) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(why), _) | (_, Err(why)) => {
            apart.not_compared = Some(why);
            return apart;
        }
    };
    apart.both_answered = true;
    let (ends, other_ends) = (one.finish.as_str(), other.finish.as_str());
    apart.distances.insert(Comparison::Finish, differs(ends != other_ends, (ends, other_ends)));
    let (manner, other_manner) = (one.manner.as_str(), other.manner.as_str());
    apart.distances.insert(Comparison::Refusal, differs(manner != other_manner, (manner, other_manner)));
    if let Some(distance) = json(one, other, ignore) {
        apart.distances.insert(Comparison::Json, distance);
    }
    if !one.calls.is_empty() || !other.calls.is_empty() {
        apart.distances.insert(Comparison::ToolCalls, fields::calls(&one.calls, &other.calls, ignore));
    }
    apart
}

/// The fraction of fields that differ, when at least one text is JSON.
fn json(one: &Said, other: &Said, ignore: &Ignore) -> Option<Distance> {
    match (structured(&one.text), structured(&other.text)) {
        (None, None) => None,
        (Some(one), Some(other)) => Some(fields::values(&one, &other, ignore)),
        _ => Some((1.0, Some("only one is JSON".to_owned()))),
    }
}

/// An object or a list, also within the fence that models like to put around it.
fn structured(text: &str) -> Option<Value> {
    let text = text.trim();
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    let text = inner.map_or(text, |inner| inner.trim_end().trim_end_matches("```")).trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

impl Side {
    /// The words, when they are what the answer says: neither JSON, whose fields are compared, nor nothing.
    pub(super) fn prose(&self) -> Option<&str> {
        let text = self.said.as_ref().ok()?.text.trim();
        (!text.is_empty() && structured(text).is_none()).then_some(text)
    }
}

#[cfg(test)]
mod tests;
