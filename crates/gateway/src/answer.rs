//! What a whole answer is worth: whether it is one, and whether it has the format that was asked for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::SystemTime;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use schema::Validator;
use schema::judge::{Judgement, judge};
use wire::failure::{Failure, FailureKind};
use wire::messages;
use wire::openai::answer::{self as dialect, AnswerFacts};
use wire::openai::content::ChoiceText;
use wire::openai::response;
use wire::record::{AttemptRecord, Endpoint, Service, Validity};
use wire::usage::Usage;

use crate::parse::Parsed;
use crate::upstream::Upstream;

/// What is known of an answer that is one.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) usage: Option<Usage>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) form: Judgement,
    /// Whether it declines or says nothing, as far as its dialect and the beginning of its words tell.
    pub(crate) declined: Option<bool>,
}

impl Judged {
    /// Writes it down.
    pub(crate) fn write(self, record: &mut AttemptRecord) {
        record.usage = self.usage;
        record.finish_reason = self.finish_reason;
        let Judgement { format_valid, schema_valid, tool_calls_valid, violation, not_validated } = self.form;
        record.format_valid = format_valid;
        record.validity = Validity {
            schema_valid,
            tool_calls_valid,
            violation: violation.map(|violation| violation.to_string()),
            not_validated: not_validated.map(|why| Cow::Borrowed(why.as_str())),
        };
    }
}

/// Judges an answer that came in one piece.
pub(crate) fn whole(
    (request, validator): (&Parsed, &RefCell<Validator>),
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Judged, Failure> {
    if !status.is_success() {
        return Err(providers::classify(status, headers, body, SystemTime::now()));
    }
    if let Some(failure) = providers::error_in_body(body) {
        return Err(failure);
    }
    if request.endpoint == Endpoint::Messages {
        return message(request, validator, body);
    }
    let facts = match request.endpoint {
        Endpoint::Responses => response::inspect(body),
        _ => dialect::inspect(body),
    };
    if facts.is_error_object {
        return Err(Failure::new(FailureKind::ErrorInBody, "an error object with a status of success"));
    }
    if request.endpoint.service() == Service::Route {
        return other(headers, facts);
    }
    if !facts.valid || !facts.has_answer {
        return Err(Failure::new(FailureKind::Malformed, "the answer is not the dialect's"));
    }
    let form = form_of(request, validator, || facts.texts(body));
    let declined = facts.declines(body);
    Ok(Judged { usage: facts.usage, finish_reason: facts.finish_reason, form, declined })
}

/// What the answer is worth that was to have a form; nothing where none was asked for.
fn form_of(request: &Parsed, validator: &RefCell<Validator>, said: impl FnOnce() -> Vec<ChoiceText>) -> Judgement {
    if !request.view.has_format() {
        return Judgement::default();
    }
    judge(&mut validator.borrow_mut(), (&request.view, &request.body), Some(&said()))
}

/// An answer of Anthropic's.
fn message(request: &Parsed, validator: &RefCell<Validator>, body: &[u8]) -> Result<Judged, Failure> {
    let facts = messages::answer::inspect(body);
    if facts.is_error_object {
        let kind = facts.error_type.as_deref().map_or(FailureKind::ErrorInBody, messages::error::kind);
        return Err(Failure::new(kind, "an error object with a status of success"));
    }
    if !facts.valid || !facts.has_answer {
        return Err(Failure::new(FailureKind::Malformed, "the answer is not the dialect's"));
    }
    let declined = Some(facts.declines(body));
    let form = form_of(request, validator, || vec![facts.said(body)]);
    Ok(Judged { usage: facts.tokens.map(|tokens| tokens.usage()), finish_reason: facts.stop_reason, form, declined })
}

/// An answer that is no text of a model: it must be what its type says, and no error.
fn other(headers: &HeaderMap, facts: AnswerFacts) -> Result<Judged, Failure> {
    let is_json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json && !facts.valid {
        return Err(Failure::new(FailureKind::Malformed, "the answer is not the JSON it says it is"));
    }
    Ok(Judged { usage: facts.usage, ..Judged::default() })
}

/// Judges a stream by what it told.
pub(crate) fn stream(upstream: &Upstream) -> Judged {
    let seen = upstream.seen();
    let declined = upstream.declines();
    Judged { usage: seen.usage, finish_reason: seen.finish_reason.clone(), form: upstream.form(), declined }
}
