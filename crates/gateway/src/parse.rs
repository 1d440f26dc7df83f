//! The request as it is read: its bytes, kept as they came, and the few fields that routing needs.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use wire::failure::{Failure, FailureKind};
use wire::multipart;
use wire::openai::{ErrorBody, Refusal};
use wire::record::{Endpoint, Service};
use wire::request::RequestView;

use crate::asked::Beside;
use crate::hints::Hints;
use crate::memory::{Bodies, Held};
use crate::paths::{Asked, percent_decoded};
use crate::recall::Kept;
use crate::snapshot::Limits;

/// A request that could be read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) endpoint: Endpoint,
    /// Every byte as it came.
    pub(crate) body: Bytes,
    /// What was read, and where.
    pub(crate) view: RequestView,
    /// The boundary between the parts of a form; the body is JSON when there is none.
    pub(crate) boundary: Option<String>,
    /// What travels beside the body.
    pub(crate) beside: Beside,
    /// The conversation it goes on from, when that is known here.
    pub(crate) kept: Option<Arc<Kept>>,
    /// What its headers say of its caller.
    caller: Hints,
    /// The body counts as long as the request is kept, by the live side or by the shadow.
    _held: Held,
}

impl Parsed {
    /// The same request in another dialect, as it is said to one target. It counts as a body of its own.
    pub(crate) fn said_as(
        &self,
        endpoint: Endpoint,
        body: Bytes,
        (limits, bodies): (&Limits, &Arc<Bodies>),
    ) -> Result<Self, Refusal> {
        let mut held = Held::nothing(bodies);
        held.grow(body.len(), limits).map_err(|failure| Refusal::of(&failure))?;
        Self::bare(endpoint, body, held)
    }

    /// The same request with another body: the one it had, without what was taken out. It counts as a body of its own.
    pub(crate) fn with_body(&self, body: Bytes, (limits, bodies): (&Limits, &Arc<Bodies>)) -> Result<Self, Refusal> {
        let mut held = Held::nothing(bodies);
        held.grow(body.len(), limits).map_err(|failure| Refusal::of(&failure))?;
        let model = Some(self.view.model.as_str());
        let view = match &self.boundary {
            Some(boundary) => multipart::parse(self.endpoint, boundary, &body, model),
            None => wire::request::parse_for(self.endpoint, &body, model),
        };
        Ok(Self {
            endpoint: self.endpoint,
            view: view.map_err(|error| Refusal::from(&error))?,
            body,
            boundary: self.boundary.clone(),
            beside: self.beside.clone(),
            kept: self.kept.clone(),
            caller: self.caller,
            _held: held,
        })
    }

    /// A request as it is on record: nothing beside its body, and nobody's limits on it.
    pub(crate) fn of_record(endpoint: Endpoint, body: Bytes) -> Result<Self, Refusal> {
        Self::bare(endpoint, body, Held::nothing(&Arc::default()))
    }

    /// A body and nothing beside it.
    fn bare(endpoint: Endpoint, body: Bytes, held: Held) -> Result<Self, Refusal> {
        let view = wire::request::parse(endpoint, &body).map_err(|error| Refusal::from(&error))?;
        Ok(Self {
            endpoint,
            body,
            view,
            boundary: None,
            beside: Beside::default(),
            kept: None,
            caller: Hints::default(),
            _held: held,
        })
    }

    /// Whether it goes on from a response that only a provider knows.
    pub(crate) fn goes_on_elsewhere(&self) -> bool {
        self.view.previous_response_id.is_some() && self.kept.is_none()
    }

    /// Whether it makes, changes or removes something that a provider keeps: done twice, it is not done once.
    pub(crate) fn changes_what_is_kept(&self) -> bool {
        self.beside.is_change()
    }

    pub(crate) fn model(&self) -> &str {
        &self.view.model
    }

    /// Whether the answer is to be a stream. Embeddings are never streamed.
    pub(crate) fn streamed(&self) -> bool {
        self.view.stream && self.endpoint != Endpoint::Embeddings
    }

    /// How many choices were asked for: so many for each prompt.
    pub(crate) fn n_choices(&self) -> u64 {
        let each = self.view.n.unwrap_or(1).max(1);
        if self.endpoint == Endpoint::Completions { each * self.view.n_prompts(&self.body) } else { each }
    }

    /// What of the body is recorded: all of it where it may be evidence, else up to the limit.
    pub(crate) fn recorded(&self, limits: &Limits) -> Bytes {
        if self.endpoint.is_evidence() || self.body.len() <= limits.max_recorded_answer {
            self.body.clone()
        } else {
            self.body.slice(..limits.max_recorded_answer)
        }
    }

    pub(crate) fn user(&self) -> Option<Cow<'_, str>> {
        self.view.user.as_deref().map(Cow::Borrowed)
    }

    pub(crate) fn conversation_id(&self) -> Option<Cow<'_, str>> {
        self.view.conversation_id.as_deref().map(Cow::Borrowed)
    }

    /// Whether its caller's SDK sent it before, and sends it again.
    pub(crate) fn sent_before(&self) -> bool {
        self.caller.client_retry > 0
    }

    /// How often its caller's SDK sent it before.
    pub(crate) fn client_retry(&self) -> u16 {
        self.caller.client_retry
    }

    /// How many gateways it has come through already.
    pub(crate) fn hops(&self) -> u8 {
        self.caller.hops
    }

    /// How long its caller waits for the beginning of the answer, when it says so.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.caller.patience
    }

    pub(crate) fn conversation_prefix(&self) -> Option<&[u8]> {
        self.view.prefix_bytes(&self.body)
    }
}

/// Reads the body and what routing needs of it.
pub(crate) async fn read(
    asked: Asked<'_>,
    head: &Parts,
    incoming: Incoming,
    limits: &Limits,
    bodies: &Arc<Bodies>,
) -> Result<Parsed, Refusal> {
    let endpoint = asked.endpoint;
    if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let words = "A compressed request body is not supported. Send it without `content-encoding`.";
        let mut refusal = Refusal::invalid_request(words, None);
        refusal.status = 415;
        return Err(refusal);
    }
    let mut beside = Beside::of(endpoint, (&head.method, &head.uri, asked.below), &head.headers)?;
    let mut held = Held::nothing(bodies);
    let body = within(limits.body_timeout, collect(incoming, limits, bodies, &mut held)).await?;
    let form = if takes_forms(endpoint) { head.headers.get(CONTENT_TYPE) } else { None };
    let boundary = form.and_then(|form| multipart::boundary(form.to_str().ok()?)).map(str::to_owned);
    let deployment = asked.deployment.map(percent_decoded);
    let view = match &boundary {
        // What a provider keeps is not looked into: no model is named in it.
        _ if endpoint.service() == Service::Provider => Ok(RequestView::empty(endpoint)),
        Some(boundary) => multipart::parse(endpoint, boundary, &body, deployment.as_deref()),
        None => wire::request::parse_for(endpoint, &body, deployment.as_deref()),
    };
    let view = view.map_err(|error| Refusal::from(&error))?;
    if let (Some(form), Some(_)) = (form, &boundary) {
        beside.is_form(form);
    }
    Ok(Parsed { endpoint, body, view, boundary, beside, kept: None, caller: Hints::read(&head.headers), _held: held })
}

/// Whether the body may be a form with files in it.
fn takes_forms(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ImageEdits | Endpoint::ImageVariations | Endpoint::Transcriptions | Endpoint::Translations
    )
}

/// How much of a refused request is read, and for how long, so that its caller reads the answer before the connection ends.
const DISCARDED: (usize, Duration) = (256 << 10, Duration::from_secs(1));

/// Reads a body that nobody wants, within bounds.
pub(crate) async fn discard(mut incoming: Incoming) {
    let (limit, patience) = DISCARDED;
    let read = async {
        let mut n_read = 0;
        while let Some(Ok(frame)) = incoming.frame().await {
            n_read += frame.data_ref().map_or(0, Bytes::len);
            if n_read > limit {
                break;
            }
        }
    };
    // What does not come in time is not waited for.
    tokio::time::timeout(patience, read).await.unwrap_or_default();
}

/// The whole body, when it is no longer than `most`.
pub(crate) async fn small(incoming: Incoming, limits: &Limits, most: usize) -> Result<Bytes, Refusal> {
    let limits = Limits { max_body: limits.max_body.min(most), ..*limits };
    let bodies = Arc::default();
    let mut held = Held::nothing(&bodies);
    within(limits.body_timeout, collect(incoming, &limits, &bodies, &mut held)).await
}

async fn within(patience: Duration, body: impl Future<Output = Result<Bytes, Refusal>>) -> Result<Bytes, Refusal> {
    tokio::time::timeout(patience, body).await.unwrap_or_else(|_| {
        let body = ErrorBody::new("The request body did not arrive in time.", "invalid_request_error");
        let mut refusal = Refusal::invalid_request("", None);
        refusal.status = 408;
        refusal.body = body.with_code("request_timeout");
        refusal.may_retry = true;
        Err(refusal)
    })
}

/// A body up to this size is copied, so that it does not keep the connection's whole read buffer (8 KiB of hyper's) for as
/// long as the request is kept.
const SMALL_BODY: usize = 4 << 10;

/// The whole body. A large one that came in one piece is not copied; the size is checked before a byte of a declared one is read.
async fn collect(mut incoming: Incoming, limits: &Limits, bodies: &Bodies, held: &mut Held) -> Result<Bytes, Refusal> {
    let limit = limits.max_body;
    let too_large = || Refusal::too_large(limit as u64);
    let declared = incoming.size_hint().exact();
    if declared.is_some_and(|declared| declared > limit as u64) {
        return Err(too_large());
    }
    if declared.is_some_and(|declared| !bodies.has_room(declared, limits)) {
        return Err(Refusal::of(&Failure::new(FailureKind::Capacity, "no room for a request of this length")));
    }
    let mut first = Bytes::new();
    let mut whole: Option<BytesMut> = None;
    while let Some(frame) = incoming.frame().await {
        let Ok(frame) = frame.map_err(|error| cut_off(&error))?.into_data() else { continue };
        let so_far = whole.as_ref().map_or(first.len(), BytesMut::len);
        if so_far + frame.len() > limit {
            return Err(too_large());
        }
        held.grow(frame.len(), limits).map_err(|failure| Refusal::of(&failure))?;
        match &mut whole {
            None if first.is_empty() => first = frame,
            None => {
                let expected = declared.and_then(|declared| usize::try_from(declared).ok()).unwrap_or(first.len() * 2);
                let mut both = BytesMut::with_capacity(expected.max(first.len() + frame.len()));
                both.extend_from_slice(&first);
                both.extend_from_slice(&frame);
                whole = Some(both);
            }
            Some(whole) => whole.extend_from_slice(&frame),
        }
    }
    Ok(match whole {
        Some(whole) => whole.freeze(),
        None if first.len() <= SMALL_BODY => Bytes::copy_from_slice(&first),
        None => first,
    })
}

/// The caller stopped in the middle of its request. It will hardly read this.
fn cut_off(error: &hyper::Error) -> Refusal {
    tracing::debug!(%error, "request body was cut");
    let mut refusal = Refusal::invalid_request("The request body ended too early.", None);
    refusal.kind = FailureKind::ClientGone;
    refusal
}
