//! Asking a moderation target about a text.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use govern::policy::Moderation;
use http::HeaderValue;
use providers::{Call, Timeouts};
use serde_json::{Value, json};
use wire::record::Endpoint;
use wire::splice::Pieces;

use crate::record::{Exchange, bytes_sent};

/// The longest text that is sent.
const MAX_TEXT: usize = 1 << 20;

/// The longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// What came of it.
pub(super) struct Asked {
    /// The categories that were flagged, when any was; or why that is not known.
    pub(super) flagged: Result<Option<Cow<'static, str>>, &'static str>,
    /// The target and its provider.
    pub(super) by: Option<(String, String)>,
    pub(super) request_bytes: u64,
    pub(super) answer_bytes: u64,
}

/// Asks, within the check's own time. Neither its breaker nor the caller's limits are asked: it is not the caller's call.
pub(super) async fn ask(exchange: &Exchange, moderation: &Moderation, said: Option<String>) -> Asked {
    let mut asked = Asked { flagged: Err("no_target"), by: None, request_bytes: 0, answer_bytes: 0 };
    let Some(destination) = exchange.prepared.destination(&moderation.target) else { return asked };
    let provider = &destination.provider;
    asked.by = Some((moderation.target.clone(), provider.config().name.clone()));
    let Some(said) = said.filter(|said| said.len() <= MAX_TEXT) else {
        asked.flagged = Err("too_long");
        return asked;
    };
    if said.is_empty() {
        asked.flagged = Ok(None);
        return asked;
    }
    let body = json!({ "model": destination.target.model, "input": said }).to_string();
    let n_bytes = body.len() as u64;
    let timeout = moderation.timeout;
    let call = Call {
        endpoint: Endpoint::Moderations,
        body: Pieces::from(Bytes::from(body)),
        streamed: false,
        request_id: HeaderValue::try_from(exchange.id.to_string()).ok(),
        hops: exchange.request.hops() + 1,
        timeouts: Timeouts { total: timeout, first_token: timeout, ..provider.config().timeouts },
        sent: None,
        pause: Duration::ZERO,
        special: None,
    };
    let answer = async {
        let reply = exchange.worker.client.call(exchange.residency, provider, call).await;
        asked.request_bytes = bytes_sent(reply.as_ref().err(), n_bytes);
        let reply = reply.map_err(|failure| failure.kind.as_str())?;
        if !reply.status.is_success() {
            return Err("http_error");
        }
        let body = reply.body.collect(MAX_ANSWER).await.map_err(|failure| failure.kind.as_str())?;
        asked.answer_bytes = body.len() as u64;
        flagged(&body).ok_or("malformed")
    };
    asked.flagged = tokio::time::timeout(timeout, Box::pin(answer)).await.unwrap_or(Err("timeout"));
    asked
}

/// The flagged categories of an answer of `/v1/moderations`; `None` when it is none.
fn flagged(body: &[u8]) -> Option<Option<Cow<'static, str>>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let results = answer.get("results")?.as_array().filter(|results| !results.is_empty())?;
    let mut categories = Vec::new();
    for result in results {
        if !result.get("flagged")?.as_bool()? {
            continue;
        }
        let named = result.get("categories").and_then(Value::as_object).into_iter().flatten();
        let yes =
            named.filter(|(_, value)| value.as_bool() == Some(true)).map(|(name, _)| name.chars().take(64).collect());
        let before = categories.len();
        categories.extend(yes);
        if categories.len() == before {
            categories.push("flagged".to_owned());
        }
    }
    categories.sort();
    categories.dedup();
    categories.truncate(16);
    Some((!categories.is_empty()).then(|| Cow::Owned(categories.join(","))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Option<Option<String>> {
        flagged(body.as_bytes()).map(|flagged| flagged.map(Cow::into_owned))
    }

    #[test]
    fn an_answer_tells_what_is_flagged() {
        let one =
            |flagged: bool| format!(r#"{{"flagged":{flagged},"categories":{{"violence":{flagged},"hate":false}}}}"#);
        assert_eq!(check(&format!(r#"{{"results":[{}]}}"#, one(false))), Some(None));
        assert_eq!(
            check(&format!(r#"{{"results":[{},{}]}}"#, one(false), one(true))),
            Some(Some("violence".to_owned()))
        );
        assert_eq!(check(r#"{"results":[{"flagged":true}]}"#), Some(Some("flagged".to_owned())));
    }

    #[test]
    fn what_is_no_such_answer_says_nothing() {
        for body in ["", "[]", r#"{"results":[]}"#, r#"{"results":[{}]}"#, r#"{"results":[{"flagged":"no"}]}"#] {
            assert_eq!(check(body), None, "{body}");
        }
    }
}
