//! The routes of the admin API: one line each, from method and path to an operation.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Response, StatusCode, Uri};
use http_body_util::Full;
use operations::{Actor, Desk, ExchangeFilter, OperationError, Role};
use serde::{Deserialize, Serialize};

/// What a change must say about itself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Who asks; recorded in the audit row.
    actor: Option<String>,
    /// Why; recorded in the audit row.
    reason: Option<String>,
}

type Answer = Result<Response<Full<Bytes>>, OperationError>;

/// Answers one request. Blocks: operations read the store and wait for the controller.
pub(crate) fn route(desk: &Desk, method: &Method, uri: &Uri, body: &[u8]) -> Response<Full<Bytes>> {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let query = uri.query().unwrap_or_default();
    let answer = match (method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => Ok(text("ok\n")),
        ("GET", ["ready"]) => Ok(ready(desk)),
        ("GET", ["metrics"]) => Ok(text(&operations::metrics(desk))),
        ("GET", ["api", "rollouts"]) => operations::rollouts::list(&desk.reader()).and_then(|rows| json(&rows)),
        ("GET", ["api", "rollouts", name]) => {
            operations::rollouts::status(&desk.reader(), name).and_then(|view| json(&view))
        }
        ("GET", ["api", "rollouts", name, "history"]) => {
            operations::rollouts::history(&desk.reader(), name).and_then(|rows| json(&rows))
        }
        ("POST", ["api", "rollouts", name, verb]) => change_rollout(desk, name, verb, body),
        ("GET", ["api", "exchanges"]) => filter(query)
            .and_then(|filter| operations::exchanges::list(&desk.reader(), &filter))
            .and_then(|rows| json(&rows)),
        ("GET", ["api", "exchanges", "pairs"]) => filter(query)
            .and_then(|filter| operations::exchanges::pairs(&desk.reader(), &filter))
            .and_then(|rows| json(&rows)),
        ("GET", ["api", "exchanges", id]) => {
            operations::exchanges::show(&desk.reader(), id).and_then(|exchange| json(&exchange))
        }
        ("POST", ["api", "reload"]) => reload(desk, body),
        ("GET", ["api", "simulated", provider]) => operations::simulated::knobs(desk, provider).and_then(|k| json(&k)),
        ("PUT", ["api", "simulated", provider]) => {
            operations::simulated::turn(desk, &actor(None), provider, body).and_then(|knobs| json(&knobs))
        }
        _ => Err(OperationError::NotFound(format!("no such admin route: {method} {}", uri.path()))),
    };
    answer.unwrap_or_else(|error| failure(status_of(&error), &error.to_string()))
}

/// An error answer: `{"error":{"message":…}}`.
pub(crate) fn failure(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "error": { "message": message } }).to_string();
    respond(status, "application/json", body)
}

fn change_rollout(desk: &Desk, name: &str, verb: &str, body: &[u8]) -> Answer {
    let change = change(body)?;
    let actor = actor(change.actor);
    let reason = change.reason.unwrap_or_default();
    operations::rollouts::change(desk, &actor, name, verb, &reason).and_then(|transition| json(&transition))
}

fn reload(desk: &Desk, body: &[u8]) -> Answer {
    let change = change(body)?;
    operations::reload(desk, &actor(change.actor)).and_then(|reloaded| json(&reloaded))
}

fn change(body: &[u8]) -> Result<Change, OperationError> {
    if body.is_empty() {
        return Ok(Change::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| OperationError::Invalid(format!("the body is not what this route takes: {error}")))
}

/// Who passed the listener's door holds every role until keys with roles of their own exist.
fn actor(name: Option<String>) -> Actor {
    Actor { name: name.unwrap_or_else(|| "admin-api".into()), role: Role::Admin }
}

fn ready(desk: &Desk) -> Response<Full<Bytes>> {
    if desk.is_ready() {
        text("ready\n")
    } else {
        respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready\n".into())
    }
}

fn filter(query: &str) -> Result<ExchangeFilter, OperationError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs: Vec<(String, String)> = pairs.map(|(key, value)| (key.to_owned(), decode(value))).collect();
    operations::exchanges::filter(&pairs)
}

/// Undoes percent-encoding (RFC 3986 §2.1); a broken escape stays as it is.
fn decode(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        match escaped.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status_of(error: &OperationError) -> StatusCode {
    match error {
        OperationError::NotFound(_) => StatusCode::NOT_FOUND,
        OperationError::Invalid(_) => StatusCode::BAD_REQUEST,
        OperationError::Forbidden(_) => StatusCode::FORBIDDEN,
        OperationError::Refused(_) => StatusCode::CONFLICT,
        OperationError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        OperationError::Store { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn json<T: Serialize>(value: &T) -> Answer {
    let body = serde_json::to_string(value).map_err(|error| OperationError::Unavailable(error.to_string()))?;
    Ok(respond(StatusCode::OK, "application/json", body))
}

fn text(body: &str) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "text/plain; charset=utf-8", body.to_owned())
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
