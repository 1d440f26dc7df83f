//! What a caller may ask about a response that Crossfade keeps: to see it, its input, or to have it forgotten.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use wire::ids::ExchangeId;
use wire::openai::{ErrorBody, Refusal};
use wire::record::{OutcomeRecord, Record};

use super::rebuild::DELETED;
use super::{Kept, exchange_of, look_up, member};
use crate::authenticate::Principal;
use crate::body::Body;
use crate::record::on_record;
use crate::refuse;
use crate::worker::Worker;

/// Items of a page when the caller does not say, and at most.
const PAGE: (usize, usize) = (20, 100);

/// What `below`, a path of stored responses, asks about a response of ours; `None` when it is about a provider's.
pub(crate) fn is_ours(below: &str) -> Option<(ExchangeId, &str, &str)> {
    let rest = below.strip_prefix("/responses/")?;
    let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
    exchange_of(id).map(|exchange| (exchange, id, part))
}

/// Answers from what was kept. No provider is asked.
pub(crate) async fn answer(
    worker: &Worker,
    principal: &Principal,
    (exchange, id, part): (ExchangeId, &str, &str),
    head: &Parts,
) -> Result<Response<Body>, Refusal> {
    let prepared = worker.prepared();
    let keeping = &prepared.snapshot.keeping;
    let kept = if keeping.keep { look_up(worker, principal, id, keeping).await? } else { None };
    let kept = kept.ok_or_else(|| no_such_response(id))?;
    let query = head.uri.query().unwrap_or_default();
    let body = match (&head.method, part) {
        (&Method::GET, "") if asks_for_stream(query) => return Err(only_whole()),
        (&Method::GET, "") => kept.response.clone(),
        (&Method::GET, "input_items") => input_items(&kept, id, query),
        (&Method::DELETE, "") => {
            delete(worker, principal, exchange, id).await?;
            Bytes::from(json!({"id": id, "object": "response", "deleted": true}).to_string())
        }
        (&Method::POST, "cancel") => {
            let words = "Only a response that is made in the background can be cancelled.";
            return Err(Refusal::invalid_request(words, None));
        }
        (method, _) => return Err(Refusal::no_such_path(method.as_str(), head.uri.path())),
    };
    Ok(refuse::json(StatusCode::OK, body))
}

fn asks_for_stream(query: &str) -> bool {
    query.split('&').any(|part| part == "stream=true")
}

fn only_whole() -> Refusal {
    Refusal::invalid_request("A response that is over can only be had whole: ask without `stream`.", Some("stream"))
}

fn no_such_response(id: &str) -> Refusal {
    let mut refusal = Refusal::no_such_path("GET", "/v1/responses");
    refusal.body = ErrorBody::new(format!("Response with id '{id}' not found."), "invalid_request_error");
    refusal
}

/// The exchange stays on record; the response can no longer be had or gone on from, also after a restart.
async fn delete(worker: &Worker, principal: &Principal, exchange: ExchangeId, id: &str) -> Result<(), Refusal> {
    let record = Record::Outcome(OutcomeRecord {
        id: exchange,
        at_us: crate::live::now().0,
        name: DELETED.to_owned(),
        value: 1.0,
        source: "caller".to_owned(),
    });
    let ticket = worker.deps.journal.submit(&record).map_err(|error| {
        let failure = wire::failure::Failure::new(wire::failure::FailureKind::RecordUnavailable, error.to_string());
        Refusal::of(&failure)
    })?;
    on_record(worker, ticket).await.map_err(|failure| Refusal::of(&failure))?;
    worker.deps.recall.delete((principal.id().map(str::to_owned), id.to_owned()));
    Ok(())
}

/// What was put in, as a page: the newest first unless the caller wants it otherwise.
fn input_items(kept: &Arc<Kept>, id: &str, query: &str) -> Bytes {
    let asked = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let mut items: Vec<Value> = serde_json::from_slice(&kept.items).unwrap_or_default();
    let n_out = member(&kept.response, "output")
        .and_then(|output| serde_json::from_slice::<Vec<Value>>(&kept.response[output]).ok())
        .map_or(0, |output| output.len());
    items.truncate(items.len().saturating_sub(n_out));
    for (place, item) in items.iter_mut().enumerate() {
        complete(item, id, place);
    }
    if asked("order") != Some("asc") {
        items.reverse();
    }
    if let Some(after) = asked("after") {
        let place = items.iter().position(|item| item["id"] == after);
        items.drain(..place.map_or(0, |place| place + 1));
    }
    let limit = asked("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let end = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first_id, last_id) = (end(items.first()), end(items.last()));
    let page = json!({"object": "list", "data": items, "first_id": first_id, "last_id": last_id, "has_more": has_more});
    Bytes::from(page.to_string())
}

/// An item as the API shows it: callers may write one shorter than that.
fn complete(item: &mut Value, id: &str, place: usize) {
    let Some(item) = item.as_object_mut() else { return };
    item.entry("id").or_insert_with(|| json!(format!("msg_{}_{place:04}", id.trim_start_matches("resp_"))));
    item.entry("type").or_insert_with(|| json!("message"));
    if item["type"] == "message" {
        item.entry("status").or_insert_with(|| json!("completed"));
        if let Some(Value::String(text)) = item.get("content") {
            let kind = if item.get("role") == Some(&json!("assistant")) { "output_text" } else { "input_text" };
            let part = json!({"type": kind, "text": text});
            item.insert("content".to_owned(), json!([part]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_input_is_what_was_put_in_newest_first() {
        let kept = Arc::new(Kept {
            items: Bytes::from_static(
                br#"[{"role":"user","content":"a"},{"type":"message","id":"msg_1","role":"user","content":[]},{"type":"message","role":"assistant"}]"#,
            ),
            response: Bytes::from_static(br#"{"output":[{"type":"message"}]}"#),
            conversation: [0; 16],
            provider: None,
            routes: Vec::new(),
        });
        let page = |query: &str| serde_json::from_slice::<Value>(&input_items(&kept, "resp_00", query)).unwrap();
        let all = page("");
        assert_eq!((all["first_id"].as_str(), all["last_id"].as_str()), (Some("msg_1"), Some("msg_00_0000")));
        assert_eq!(all["data"][1]["content"], json!([{"type": "input_text", "text": "a"}]));
        let first = page("limit=1&order=asc");
        assert_eq!((first["data"].as_array().unwrap().len(), first["has_more"].as_bool()), (1, Some(true)));
        assert_eq!(page("order=asc&after=msg_00_0000")["first_id"], "msg_1");
    }

    #[test]
    fn only_a_path_with_an_id_of_ours_is_ours() {
        let id = format!("resp_{:032x}", 7);
        assert!(is_ours(&format!("/responses/{id}")).is_some());
        assert_eq!(is_ours(&format!("/responses/{id}/input_items")).unwrap().2, "input_items");
        assert!(is_ours("/responses/resp_abc").is_none());
    }
}
