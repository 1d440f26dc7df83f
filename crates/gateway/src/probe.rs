//! What is asked of a baseline now and then, to know whether it could take all traffic back: a few tokens from the same model, by the
//! same provider and the same key as callers get.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use providers::{Dialect, Special};
use serde_json::json;
use wire::failure::FailureKind;
use wire::ids::ExchangeId;
use wire::messages;
use wire::openai::answer;
use wire::private::Private;
use wire::record::{Arm, AttemptRecord, AttemptRole, Endpoint, Record, ShadowRecord};

use crate::record::{begun, micros};
use crate::snapshot::{Snapshot, Target};

/// Enough for models that refuse to stop at once, and next to nothing in price.
const MAX_TOKENS: u32 = 16;
/// The version of Anthropic's API that the question is written in.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// The question, in the dialect of the target's provider: the endpoint, the body, and what is special about the call.
#[must_use]
pub fn question(target: &Target) -> (Endpoint, Bytes, Option<Box<Special>>) {
    let body = json!({
        "model": target.model,
        "max_tokens": MAX_TOKENS,
        "messages": [{ "role": "user", "content": "ping" }],
    });
    let body = Bytes::from(body.to_string());
    if matches!(target.provider.dialect, Dialect::Anthropic) {
        let headers = HeaderMap::from_iter([VERSION]);
        return (Endpoint::Messages, body, Some(Box::new(Special { headers, ..Special::default() })));
    }
    let endpoint = Endpoint::ChatCompletions;
    let deployment = target.provider.has_deployments(endpoint).then(|| target.model.clone());
    let special = deployment.map(|deployment| Box::new(Special { deployment: Some(deployment), ..Special::default() }));
    (endpoint, body, special)
}

/// The call that was made with a [`question`].
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The rollout whose baseline was asked, and its epoch.
    pub rollout: (&'a str, u32),
    /// When it began, Unix microseconds.
    pub started_us: u64,
    /// How long it took.
    pub took: Duration,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why there was none, or not all of it.
    pub failure: Option<FailureKind>,
    /// The answer.
    pub body: &'a Bytes,
}

/// The call as it goes on record, with what it cost: it is no evidence and has no exchange, and is paid for all the same.
#[must_use]
pub fn record(snapshot: &Snapshot, target: &Target, asked: &Asked<'_>) -> Record {
    let (endpoint, body, _) = question(target);
    let usage = match endpoint {
        Endpoint::Messages => messages::answer::inspect(asked.body).tokens.map(|tokens| tokens.usage()),
        _ => answer::inspect(asked.body).usage,
    };
    let part = (Some(Arm::Baseline), AttemptRole::Probe);
    let mut attempt = AttemptRecord {
        status: asked.status,
        failure: asked.failure,
        duration_us: micros(asked.took),
        usage,
        answer_bytes: asked.body.len() as u64,
        request_bytes: body.len() as u64,
        ..begun(target, &target.model, 0, part, asked.started_us)
    };
    attempt.cost = snapshot.prices.charge(endpoint, &attempt);
    let (rollout, epoch) = (asked.rollout.0.to_owned(), asked.rollout.1);
    let body = Private::new(Bytes::new());
    let mut random = [0; 10];
    // Without it two probes of the same millisecond would be one.
    getrandom::fill(&mut random).unwrap_or_default();
    let id = ExchangeId::new(asked.started_us / 1000, random);
    Record::Probe(ShadowRecord { id, rollout, epoch, attempt: Some(attempt), drop: None, body, declined: None })
}
