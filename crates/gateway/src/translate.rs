//! The request in a dialect that the target speaks, and its answer in the caller's. A target that speaks the caller's own is
//! asked as the caller asks, and nothing here is touched.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::openai::{ErrorBody, Refusal};
use wire::record::{Adaptation, AdaptationAction, Endpoint};
use wire::sse::Event;
use wire::translate::{Context, Dialect, Policy, Translated, responses};

use crate::memory::Bodies;
use crate::parse::Parsed;
use crate::snapshot::{Limits, Target};

/// From the dialect of a caller to that of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    ResponsesToChat,
}

/// A request as one target is asked, and the way back.
#[derive(Debug)]
pub(crate) struct Translation {
    /// In the target's dialect.
    pub(crate) request: Parsed,
    /// What was lost or put in other words.
    pub(crate) changes: Vec<Adaptation>,
    /// The pairs from the caller to the target, each with the request in the dialect it begins with.
    steps: Vec<(Pair, Bytes)>,
}

/// Which exchange an answer belongs to: its ids and its time are made from this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) id: ExchangeId,
    pub(crate) created_us: u64,
}

/// Translates the request when the target does not speak its dialect. An error says what cannot be said to the target.
pub(crate) fn translate(
    request: &Parsed,
    target: &Target,
    (limits, bodies): (&Limits, &Arc<Bodies>),
) -> Result<Option<Translation>, Refusal> {
    let Some(from) = dialect(request.endpoint) else { return Ok(None) };
    let speaks = &target.provider.speaks;
    let pairs = match (request.endpoint, way(from, speaks)) {
        (_, Some([])) => return Ok(None),
        (Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Messages, Some(pairs)) => pairs,
        _ => return Err(not_spoken(request.endpoint)),
    };
    let mut steps = Vec::with_capacity(pairs.len());
    let mut changes = Vec::new();
    let mut body = request.body.clone();
    for pair in pairs {
        let translated = pair.request(&body, &target.translation, &target.name)?;
        changes.extend(translated.changes);
        steps.push((*pair, std::mem::replace(&mut body, translated.body)));
    }
    let endpoint = pairs.last().map_or(request.endpoint, |pair| pair.to());
    let request = request.said_as(endpoint, body, (limits, bodies))?;
    Ok(Some(Translation { request, changes, steps }))
}

/// The report of a request that was refused because a field of it cannot be said to a target. Places in lists are left out:
/// the name is a label.
pub(crate) fn refused(refusal: &Refusal, target: &Target) -> Adaptation {
    let param = refusal.body.param.as_deref().unwrap_or("request");
    let mut field = String::with_capacity(param.len());
    let mut depth = 0_u32;
    for character in param.chars() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            character if depth == 0 => field.push(character),
            _ => {}
        }
    }
    Adaptation { field: Cow::Owned(field), action: AdaptationAction::Refused, target: target.name.clone() }
}

/// The dialect in which an endpoint asks for text.
const fn dialect(endpoint: Endpoint) -> Option<Dialect> {
    match endpoint {
        Endpoint::ChatCompletions => Some(Dialect::Chat),
        Endpoint::Responses | Endpoint::InputTokens | Endpoint::Compaction => Some(Dialect::Responses),
        Endpoint::Messages | Endpoint::CountTokens => Some(Dialect::Messages),
        _ => None,
    }
}

/// How to get from a dialect to one of those that a target speaks: not at all when it is among them, and `None` when no pair
/// leads there.
fn way(from: Dialect, speaks: &[Dialect]) -> Option<&'static [Pair]> {
    if speaks.contains(&from) {
        return Some(&[]);
    }
    match from {
        Dialect::Responses if speaks.contains(&Dialect::Chat) => Some(&[Pair::ResponsesToChat]),
        _ => None,
    }
}

/// The target's provider has no such thing in any dialect it speaks.
fn not_spoken(endpoint: Endpoint) -> Refusal {
    let message = format!("The model does not take requests to `{}`.", endpoint.path());
    let mut refusal = Refusal::of(&Failure::new(FailureKind::Unsupported, "no pair of dialects"));
    refusal.body = ErrorBody::new(message, "invalid_request_error").with_code("unsupported_endpoint");
    refusal
}

impl Pair {
    /// Where a request goes after it.
    const fn to(self) -> Endpoint {
        match self {
            Pair::ResponsesToChat => Endpoint::ChatCompletions,
        }
    }

    fn request(self, body: &Bytes, policy: &Policy, target: &str) -> Result<Translated, Refusal> {
        match self {
            Pair::ResponsesToChat => responses::request(body, policy, target),
        }
    }

    fn answer(self, body: &[u8], context: &Context<'_>) -> Result<Vec<u8>, Failure> {
        match self {
            Pair::ResponsesToChat => responses::answer(body, context),
        }
    }

    fn error(self, status: u16, body: &[u8]) -> Vec<u8> {
        match self {
            Pair::ResponsesToChat => responses::error(status, body),
        }
    }

    fn stream(self, context: &Context<'_>) -> Half {
        match self {
            Pair::ResponsesToChat => Half::Responses(Box::new(responses::Stream::new(context))),
        }
    }
}

impl Translation {
    /// A whole answer in the caller's dialect.
    pub(crate) fn answer(&self, body: &[u8], marks: Marks) -> Result<Bytes, Failure> {
        let mut answer = Cow::Borrowed(body);
        for (pair, request) in self.steps.iter().rev() {
            let id = marks.text();
            answer = Cow::Owned(pair.answer(&answer, &marks.context(&id, request))?);
        }
        Ok(Bytes::from(answer.into_owned()))
    }

    /// The body of an answer with another status in the caller's dialect.
    pub(crate) fn error(&self, status: u16, body: &[u8]) -> Bytes {
        let mut answer = Cow::Borrowed(body);
        for (pair, _) in self.steps.iter().rev() {
            answer = Cow::Owned(pair.error(status, &answer));
        }
        Bytes::from(answer.into_owned())
    }

    /// A translator for one streamed answer.
    pub(crate) fn stream(&self, marks: Marks) -> Translator {
        let id = marks.text();
        let half = |(pair, request): &(Pair, Bytes)| pair.stream(&marks.context(&id, request));
        Translator { halves: self.steps.iter().rev().map(half).collect() }
    }
}

impl Marks {
    fn text(self) -> String {
        format!("{:032x}", self.id.as_u128())
    }

    fn context<'a>(self, id: &'a str, request: &'a [u8]) -> Context<'a> {
        Context { id, created_s: self.created_us / 1_000_000, request }
    }
}

/// Translates one streamed answer on its way from the target to the caller.
#[derive(Debug)]
pub(crate) struct Translator {
    /// In the order in which an event passes them.
    halves: Vec<Half>,
}

#[derive(Debug)]
enum Half {
    Responses(Box<responses::Stream>),
}

impl Translator {
    /// What the caller gets for one event of the target.
    pub(crate) fn event(&mut self, event: &Event) -> Result<Bytes, Failure> {
        let mut bytes = Vec::new();
        if let Some(first) = self.halves.first_mut() {
            bytes = first.event(event)?;
        }
        Ok(Bytes::from(bytes))
    }

    /// The last events, when the target's stream has ended.
    pub(crate) fn end(&mut self) -> Result<Bytes, Failure> {
        let mut bytes = Vec::new();
        if let Some(first) = self.halves.first_mut() {
            bytes = first.end()?;
        }
        Ok(Bytes::from(bytes))
    }

    /// The events that tell the caller that the stream failed.
    pub(crate) fn fail(&mut self, error: &ErrorBody) -> Bytes {
        self.halves.last_mut().map_or_else(Bytes::new, |last| Bytes::from(last.fail(error)))
    }
}

impl Half {
    fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure> {
        match self {
            Half::Responses(stream) => stream.event(event),
        }
    }

    fn end(&mut self) -> Result<Vec<u8>, Failure> {
        match self {
            Half::Responses(stream) => stream.end(),
        }
    }

    fn fail(&mut self, error: &ErrorBody) -> Vec<u8> {
        match self {
            Half::Responses(stream) => stream.fail(error),
        }
    }
}
