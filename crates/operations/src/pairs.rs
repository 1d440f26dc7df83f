//! Both answers to one request, read for what they say, so that they can be laid side by side.

use eval::answer::read;
use eval::case::text_of;
use serde::Serialize;
use serde_json::Value;
use store::{ComparedRow, Database, ExchangeFilter, PairRow};

use crate::desk::OperationError;
use crate::exchanges::{self, Page};

pub use store::Measured;

/// What one side answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Side {
    /// Its text; the body as it is where it is no chat answer.
    pub text: String,
    /// What it refused with.
    pub refusal: Option<String>,
    /// The tools it called: names and arguments as they came.
    pub tool_calls: Vec<(String, String)>,
    /// Whether the body could be read as an answer.
    pub is_read: bool,
}

/// A pair with what both sides say.
#[derive(Debug, Serialize)]
pub struct PairView {
    /// The exchange.
    pub id: String,
    /// The route.
    pub route: Option<String>,
    /// What was asked: the last words of the user, where the request is a chat.
    pub question: Option<String>,
    /// What the caller got.
    pub live: Option<Side>,
    /// The target that gave it, and what was measured of it.
    pub live_of: Option<(String, Measured)>,
    /// What the copy was answered.
    pub copy: Option<Side>,
    /// The same of the copy.
    pub copy_of: Option<(String, Measured)>,
    /// The baseline's second answer, where it was asked twice: how far apart two answers of one model are.
    pub again: Option<Side>,
    /// How far they are apart, for each rollout that copied it.
    pub compared: Vec<ComparedRow>,
    /// Whether the bodies have been taken away.
    pub bodies_pruned: bool,
}

/// So many exchanges are looked through for one page.
const SPAN: u32 = 4_000;

/// A page of pairs that match, without counting them and without reading the whole record; as [`exchanges::newest`].
///
/// # Errors
/// When the store cannot be read.
pub fn newest(database: &Database, filter: &ExchangeFilter) -> Result<Page<PairRow>, OperationError> {
    let reading = |source| OperationError::Store { doing: "list pairs", source };
    let (rows, rest) = database.pairs_within(filter, SPAN).map_err(reading)?;
    let last = rows.last().map(|row| row.id);
    Ok(exchanges::page(filter, rows, (last, rest)))
}

/// Whether the answers of a pair are farther apart than the baseline's are from each other, in any respect. Where that was not measured, any
/// distance is.
#[must_use]
pub fn is_apart(pair: &PairRow) -> bool {
    let compared = pair.compared.iter().flat_map(|compared| &compared.comparisons);
    compared.into_iter().any(|one| one.distance > one.noise.unwrap_or(0.0))
}

/// One pair.
///
/// # Errors
/// When there is no such exchange, or the store cannot be read.
pub fn show(database: &Database, id: &str) -> Result<PairView, OperationError> {
    let view = exchanges::show(database, id)?;
    let side = |body: &String| side(body);
    let attempts = &view.detail.attempts;
    let of = |is_it: fn(&str) -> bool| {
        let attempt = attempts.iter().rev().find(|attempt| is_it(&attempt.role) && attempt.target.is_some())?;
        Some((attempt.target.clone()?, attempt.measured.clone()))
    };
    Ok(PairView {
        id: view.detail.exchange.id.to_string(),
        route: view.detail.exchange.route.clone(),
        question: view.request.as_deref().and_then(question),
        live: view.answer.as_ref().map(side),
        live_of: of(|role| !matches!(role, "shadow" | "duplicate")),
        copy: view.shadow.as_ref().map(side),
        copy_of: of(|role| role == "shadow"),
        again: view.copies.iter().find(|copy| copy.duplicate).map(|copy| side(&copy.answer)),
        compared: view.detail.pairs.clone(),
        bodies_pruned: view.bodies_pruned,
    })
}

fn side(body: &str) -> Side {
    let Some(answer) = read(body.as_bytes()) else {
        return Side { text: body.to_owned(), ..Side::default() };
    };
    let tool_calls = answer.tool_calls.into_iter().map(|call| (call.name, call.arguments)).collect();
    Side { text: answer.text, refusal: answer.refusal, tool_calls, is_read: true }
}

fn question(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let messages = body.get("messages")?.as_array()?;
    let last = messages.iter().rev().find(|message| message["role"] == "user")?;
    Some(text_of(&last["content"])).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_read_for_text_and_calls_and_shown_as_it_is_where_it_is_neither() {
        let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"hi","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}]}"#;
        let read = side(body);
        assert_eq!((read.text.as_str(), read.is_read), ("hi", true));
        assert_eq!(read.tool_calls, [("f".to_owned(), "{\"a\":1}".to_owned())]);
        assert_eq!((side("<html>").text.as_str(), side("<html>").is_read), ("<html>", false));
        let asked = r#"{"messages":[{"role":"user","content":"first"},{"role":"assistant","content":"x"},{"role":"user","content":[{"type":"text","text":"last"}]}]}"#;
        assert_eq!(question(asked).as_deref(), Some("last"));
    }
}
