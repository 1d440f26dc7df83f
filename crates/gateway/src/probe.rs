//! What is asked of a baseline now and then, to know whether it could take all traffic back: a few tokens from the same model, by the
//! same provider and the same key as callers get.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use providers::{Dialect, Special};
use serde_json::json;
use wire::record::Endpoint;

use crate::snapshot::Target;

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
