//! The line to the server: every request goes out here, within the time there is, and is kept as evidence.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap};
use http::uri::PathAndQuery;
use providers::{Call, Client, Provider, Special, Timeouts};
use serde_json::Value;
use tokio::sync::Semaphore;
use wire::capability::Capability;
use wire::failure::{Failure, FailureKind};
use wire::record::Endpoint;
use wire::splice::Pieces;
use wire::sse::{Decoder, Event, EventKind};

use super::evidence::{Evidence, kept};
use super::run::Progress;

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 4 << 20;

/// Headers of an answer that a verdict may rest on.
const SHOWN_HEADERS: [&str; 7] = [
    "content-type",
    "connection",
    "x-request-id",
    "retry-after",
    "x-crossfade-target",
    "x-crossfade-origin",
    X_SIMULATED,
];
/// What made-up answers carry.
const X_SIMULATED: &str = "x-simulated";

/// One server, as the probe talks to it.
pub(super) struct Line<'p> {
    pub(super) provider: Arc<Provider>,
    pub(super) model: String,
    pub(super) embedding_model: Option<String>,
    /// How many tokens a conversation may have, as whoever asks knows it.
    pub(super) context: Option<u64>,
    /// Whether services of their own are asked for.
    pub(super) services: bool,
    /// The models to ask for them.
    pub(super) service_models: BTreeMap<Capability, String>,
    client: Client,
    deadline: Instant,
    patience: Duration,
    places: Semaphore,
    evidence: RefCell<Vec<Evidence>>,
    simulated: Cell<bool>,
    progress: &'p dyn Fn(Progress<'_>),
}

/// How the probe talks to a server.
pub(super) struct Terms<'p> {
    pub(super) deadline: Instant,
    pub(super) patience: Duration,
    pub(super) concurrency: usize,
    pub(super) context: Option<u64>,
    pub(super) services: bool,
    pub(super) progress: &'p dyn Fn(Progress<'_>),
}

/// One question.
pub(super) struct Ask {
    pub(super) endpoint: Endpoint,
    pub(super) method: Method,
    /// Another path below the base URL than the endpoint's.
    pub(super) below: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The body in words, where it is no text.
    pub(super) shown: Option<String>,
    pub(super) streamed: bool,
    /// It may take all the time that is left, and not only that of a question.
    pub(super) is_slow: bool,
}

impl Ask {
    /// A JSON request to an endpoint.
    pub(super) fn of(endpoint: Endpoint, body: &Value) -> Ask {
        let streamed = body["stream"] == true;
        Ask {
            endpoint,
            method: Method::POST,
            below: None,
            headers: HeaderMap::new(),
            body: body.to_string().into_bytes(),
            shown: None,
            streamed,
            is_slow: false,
        }
    }

    /// Something to read.
    pub(super) fn get(below: impl Into<String>) -> Ask {
        Ask {
            method: Method::GET,
            below: Some(below.into()),
            body: Vec::new(),
            ..Ask::of(Endpoint::ChatCompletions, &Value::Null)
        }
    }

    /// The same at another path.
    pub(super) fn below(self, path: impl Into<String>) -> Ask {
        Ask { below: Some(path.into()), ..self }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The evidence's id.
    pub(super) id: String,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The body as JSON, when it is that.
    pub(super) json: Option<Value>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum Silence {
    /// The probe's own time was up before the question was asked or answered.
    TimeUp,
    /// The server took too long for this question.
    TooLong(Duration),
    /// The call failed.
    Failed(FailureKind, String),
}

impl Answer {
    pub(super) fn is_event_stream(&self) -> bool {
        self.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
    }

    /// What kind of bytes it is, when it is no text.
    pub(super) fn media(&self) -> Option<&str> {
        let media = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        ["audio/", "image/", "application/octet-stream"].iter().any(|kind| media.starts_with(kind)).then_some(media)
    }

    /// The server said that it closes the connection.
    pub(super) fn says_close(&self) -> bool {
        self.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
    }

    /// The events of a stream with data, `[DONE]` among them.
    pub(super) fn events(&self) -> Vec<Event> {
        let (mut decoder, mut events) = (Decoder::new(), Vec::new());
        // A stream that cannot be cut into events has none.
        if decoder.push(self.body.clone(), &mut events).is_err() {
            return Vec::new();
        }
        events.extend(decoder.finish().event);
        events.retain(|event| event.kind != EventKind::Comment);
        events
    }
}

impl<'p> Line<'p> {
    pub(super) fn new(
        provider: Arc<Provider>,
        model: String,
        embedding_model: Option<String>,
        terms: &Terms<'p>,
    ) -> Self {
        Self {
            provider,
            model,
            embedding_model,
            context: terms.context,
            services: terms.services,
            service_models: BTreeMap::new(),
            client: Client::new(),
            deadline: terms.deadline,
            patience: terms.patience,
            places: Semaphore::new(terms.concurrency),
            evidence: RefCell::default(),
            simulated: Cell::new(false),
            progress: terms.progress,
        }
    }

    /// Asks on account of `capability`.
    pub(super) async fn ask(&self, capability: &'static str, ask: Ask) -> Result<Answer, Silence> {
        let _place = self.places.acquire().await.map_err(|_| Silence::TimeUp)?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Silence::TimeUp);
        }
        let patience = if ask.is_slow { left } else { self.patience.min(left) };
        let (method, path) = (ask.method.clone(), ask.below.clone().unwrap_or_else(|| ask.endpoint.path().to_owned()));
        let request = ask.shown.clone().unwrap_or_else(|| kept(&ask.body).0);
        let began = Instant::now();
        let answered = tokio::time::timeout(patience, self.call(ask, patience)).await;
        let answered = answered
            .unwrap_or_else(|_| Err(if patience == left { Silence::TimeUp } else { Silence::TooLong(patience) }));
        let mut evidence = Evidence {
            id: String::new(),
            capability,
            method: method.to_string(),
            path,
            request,
            status: None,
            headers: Vec::new(),
            answer: String::new(),
            answer_cut: 0,
            failure: None,
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let mut answered = answered;
        match &answered {
            Ok(answer) => {
                evidence.status = Some(answer.status);
                evidence.headers = shown(&answer.headers);
                (evidence.answer, evidence.answer_cut) = match answer.media() {
                    Some(media) => (format!("({} bytes of {media})", answer.body.len()), 0),
                    None => kept(&answer.body),
                };
            }
            Err(silence) => evidence.failure = Some(silence.words()),
        }
        let id = self.keep(evidence);
        if let Ok(answer) = &mut answered {
            answer.id = id;
        }
        (self.progress)(Progress::Asked { n_requests: self.n_requests(), capability });
        answered
    }

    /// The time of a question.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Requests so far.
    pub(super) fn n_requests(&self) -> usize {
        self.evidence.borrow().len()
    }

    /// Whether any answer was made up.
    pub(super) fn simulated(&self) -> bool {
        self.simulated.get()
    }

    /// Hangs up, and hands over what was kept.
    pub(super) async fn close(self) -> Vec<Evidence> {
        self.client.close().await;
        self.evidence.into_inner()
    }

    fn keep(&self, evidence: Evidence) -> String {
        let mut all = self.evidence.borrow_mut();
        let id = format!("e{}", all.len() + 1);
        all.push(Evidence { id: id.clone(), ..evidence });
        id
    }

    async fn call(&self, ask: Ask, patience: Duration) -> Result<Answer, Silence> {
        let deployment = self.provider.config().has_deployments(ask.endpoint).then(|| self.model.clone());
        let below = ask.below.map(|path| PathAndQuery::try_from(path).map_err(|_| no_path())).transpose()?;
        let is_plain = ask.method == Method::POST && below.is_none() && deployment.is_none() && ask.headers.is_empty();
        let special = (!is_plain)
            .then(|| Box::new(Special { method: Some(ask.method.clone()), below, deployment, headers: ask.headers }));
        let timeouts =
            Timeouts { first_token: patience, total: patience, answer: None, ..self.provider.config().timeouts };
        let call = Call {
            endpoint: ask.endpoint,
            body: Pieces::from(Bytes::from(ask.body)),
            streamed: ask.streamed,
            request_id: None,
            hops: 0,
            timeouts,
            sent: None,
            pause: Duration::ZERO,
            special,
        };
        let failed = |failure: Failure| {
            // The call's own clock and the one around it are set to the same time; either may ring first.
            let is_ours = failure.kind.is_timeout() && failure.kind != FailureKind::TimeoutConnect;
            if is_ours { Silence::TooLong(patience) } else { Silence::Failed(failure.kind, failure.detail) }
        };
        let reply = self.client.call(&self.provider, call).await.map_err(failed)?;
        let (status, headers) = (reply.status.as_u16(), reply.headers);
        // Behind a gateway a provider may make answers up as well; it says so in the same header.
        let is_made_up = reply.simulated || headers.get(X_SIMULATED).is_some_and(|value| value == "true");
        self.simulated.set(self.simulated.get() || is_made_up);
        let body = reply.body.collect(LONGEST_ANSWER).await.map_err(failed)?;
        let json = serde_json::from_slice(&body).ok();
        Ok(Answer { id: String::new(), status, headers, body, json })
    }
}

impl Silence {
    /// What to say of it.
    pub(super) fn words(&self) -> String {
        match self {
            Silence::TimeUp => "the probe's time was up".to_owned(),
            Silence::TooLong(patience) => format!("no whole answer within {} s", patience.as_secs()),
            Silence::Failed(kind, detail) if detail.is_empty() => kind.to_string(),
            Silence::Failed(kind, detail) => format!("{kind}: {detail}"),
        }
    }
}

/// A server may give an id that is part of no path.
fn no_path() -> Silence {
    Silence::Failed(FailureKind::Malformed, "the id it gave cannot be part of a path".to_owned())
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |name: &&str| {
        let value = headers.get(*name)?;
        Some(((*name).to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    };
    SHOWN_HEADERS.iter().filter_map(text).collect()
}
