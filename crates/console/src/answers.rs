//! Answers of the admin API.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use operations::{Desk, Identity, OperationError};
use serde::Serialize;

/// Which gateway this is, and what it serves now.
pub(crate) fn identity(desk: &Desk) -> Identity {
    let config_hash = (desk.resolved)()["hash"].as_str().map(str::to_owned);
    Identity { config_hash, ..desk.identity.clone() }
}

/// What an operation came to.
pub(crate) type Answer = Result<Response<Full<Bytes>>, OperationError>;

/// An error answer: `{"error":{"message":…}}`.
pub(crate) fn failure(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "error": { "message": message } }).to_string();
    respond(status, "application/json", body)
}

pub(crate) fn ready(is_ready: bool) -> Response<Full<Bytes>> {
    if is_ready {
        text("ready\n")
    } else {
        respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready\n".into())
    }
}

pub(crate) fn status_of(error: &OperationError) -> StatusCode {
    match error {
        OperationError::NotFound(_) => StatusCode::NOT_FOUND,
        OperationError::Invalid(_) => StatusCode::BAD_REQUEST,
        OperationError::Forbidden(_) => StatusCode::FORBIDDEN,
        OperationError::Refused(_) => StatusCode::CONFLICT,
        OperationError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        OperationError::Store { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(crate) fn json<T: Serialize>(value: &T) -> Answer {
    let body = serde_json::to_string(value).map_err(|error| OperationError::Unavailable(error.to_string()))?;
    Ok(respond(StatusCode::OK, "application/json", body))
}

pub(crate) fn text(body: &str) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "text/plain; charset=utf-8", body.to_owned())
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
