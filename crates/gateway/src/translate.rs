//! The request in a dialect that the target speaks, and its answer in the caller's. A target that speaks the caller's own is
//! asked as the caller asks, and nothing here is touched.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::messages::thinking;
use wire::openai::{ErrorBody, Refusal};
use wire::record::{Adaptation, AdaptationAction, Endpoint, Service};
use wire::sse::{Decoder, Event};
use wire::translate::messages::{inbound, outbound};
use wire::translate::{Context, Dialect, Translated, responses};

use crate::memory::Bodies;
use crate::parse::Parsed;
use crate::snapshot::{Limits, Route, Snapshot, Target};

/// From the dialect of a caller to that of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    ResponsesToChat,
    MessagesToChat,
    ChatToMessages,
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
    (snapshot, route, bodies): (&Snapshot, &Route, &Arc<Bodies>),
) -> Result<Option<Translation>, Refusal> {
    let memory = (&snapshot.limits, bodies);
    if request.view.has_token_arrays && !snapshot.reads_tokens_of(route, target) {
        return Err(foreign_tokens(request.endpoint));
    }
    if request.endpoint == Endpoint::Embeddings && !snapshot.shares_space_of(route, target) {
        return Err(foreign_space());
    }
    let Some(from) = dialect(request.endpoint) else {
        return if is_there(request.endpoint, target) { Ok(None) } else { Err(not_spoken(request.endpoint)) };
    };
    let pairs = match (request.endpoint, way(from, &target.provider.speaks)) {
        (Endpoint::Messages, Some([])) => return without_our_thinking(request, target, memory),
        (Endpoint::Responses, Some([])) => return going_on(request, target, memory),
        (_, Some([])) => return Ok(None),
        (Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Messages, Some(pairs)) => pairs,
        _ => return Err(not_spoken(request.endpoint)),
    };
    let mut steps = Vec::with_capacity(pairs.len());
    let mut changes = Vec::new();
    let mut body = match &request.kept {
        Some(kept) => responses::prepend(&request.body, &kept.items)?,
        None => request.body.clone(),
    };
    for pair in pairs {
        let translated = pair.request(&body, target)?;
        changes.extend(translated.changes);
        steps.push((*pair, std::mem::replace(&mut body, translated.body)));
    }
    // The answer repeats what the caller sent, not what was put before it.
    if let Some((_, first)) = steps.first_mut() {
        *first = request.body.clone();
    }
    let endpoint = pairs.last().map_or(request.endpoint, |pair| pair.to());
    let request = request.said_as(endpoint, body, memory)?;
    Ok(Some(Translation { request, changes, steps }))
}

/// A provider that keeps responses goes on from its own by id; from another's, it is told the conversation.
fn going_on(
    request: &Parsed,
    target: &Target,
    memory: (&Limits, &Arc<Bodies>),
) -> Result<Option<Translation>, Refusal> {
    let Some(kept) = request.kept.as_ref().filter(|kept| kept.provider.as_ref() != Some(&target.provider.name)) else {
        return Ok(None);
    };
    let body = responses::prepend(&request.body, &kept.items)?;
    let field = Cow::Borrowed("previous_response_id");
    let change = Adaptation { field, action: AdaptationAction::Replaced, target: target.name.clone() };
    let request = request.said_as(Endpoint::Responses, body, memory)?;
    Ok(Some(Translation { request, changes: vec![change], steps: Vec::new() }))
}

/// A response told again from what a provider that does not speak Responses had answered: whole, or the events of it. `None`
/// when it cannot be read, or was cut.
pub(crate) fn told_again(answer: &Bytes, request: &Bytes, marks: Marks) -> Option<Bytes> {
    // What a chat request would have asked for: only that the usage be told.
    const CHAT: &[u8] = br#"{"stream_options":{"include_usage":true}}"#;
    let to_chat = (Pair::ResponsesToChat, request.clone());
    let to_messages = (Pair::ChatToMessages, Bytes::from_static(CHAT));
    if answer.first() == Some(&b'{') {
        let is_message = wire::messages::answer::inspect(answer).has_answer;
        let steps = if is_message { vec![to_chat, to_messages] } else { vec![to_chat] };
        return answer_through(&steps, answer, marks).ok();
    }
    let mut events = Vec::new();
    let mut decoder = Decoder::new();
    decoder.push(answer.clone(), &mut events).ok()?;
    let is_message = events.iter().any(|event| event.data.starts_with(br#"{"type":"message_start""#));
    let steps = if is_message { vec![to_chat, to_messages] } else { vec![to_chat] };
    let mut translator = translator(&steps, marks)?;
    let mut last = Bytes::new();
    for event in &events {
        let said = translator.event(event).ok()?;
        last = if said.is_empty() { last } else { said };
    }
    let said = translator.end().ok()?;
    Some(if said.is_empty() { last } else { said })
}

/// An answer of chat completions, whole or its events, as a caller of `endpoint` reads it. `None` where no answer is made of chat.
pub(crate) fn said_to(
    endpoint: Endpoint,
    (answer, streamed): (&Bytes, bool),
    (request, marks): (&Bytes, Marks),
) -> Option<Bytes> {
    let pair = match endpoint {
        Endpoint::ChatCompletions => return Some(answer.clone()),
        Endpoint::Responses => Pair::ResponsesToChat,
        Endpoint::Messages => Pair::MessagesToChat,
        _ => return None,
    };
    let steps = [(pair, request.clone())];
    if !streamed {
        return answer_through(&steps, answer, marks).ok();
    }
    let (mut events, mut said) = (Vec::new(), Vec::new());
    Decoder::new().push(answer.clone(), &mut events).ok()?;
    let mut translator = translator(&steps, marks)?;
    for event in &events {
        said.extend_from_slice(&translator.event(event).ok()?);
    }
    said.extend_from_slice(&translator.end().ok()?);
    Some(Bytes::from(said))
}

/// What other models thought goes back to no endpoint of Anthropic's: it cannot be signed, and Anthropic refuses it.
fn without_our_thinking(
    request: &Parsed,
    target: &Target,
    memory: (&Limits, &Arc<Bodies>),
) -> Result<Option<Translation>, Refusal> {
    if !matches!(target.provider.dialect, providers::Dialect::Anthropic) {
        return Ok(None);
    }
    let (body, n_blocks) = thinking::without_ours(&request.body);
    if n_blocks == 0 {
        return Ok(None);
    }
    let field = Cow::Borrowed("messages.thinking");
    let change = Adaptation { field, action: AdaptationAction::Removed, target: target.name.clone() };
    let request = request.said_as(Endpoint::Messages, body.to_bytes(), memory)?;
    Ok(Some(Translation { request, changes: vec![change], steps: Vec::new() }))
}

/// The version of Anthropic's API that a translated request is written for.
pub(crate) fn anthropic_version(request: &Parsed, asked: &Parsed, target: &Target) -> Option<&'static str> {
    let was_translated = asked.endpoint == Endpoint::Messages && request.endpoint != Endpoint::Messages;
    was_translated.then(|| target.claude.version())
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

/// Whether a provider has an endpoint that no dialect has of its own. Anthropic has none of OpenAI's others.
fn is_there(endpoint: Endpoint, target: &Target) -> bool {
    endpoint.service() == Service::Provider || !matches!(target.provider.dialect, providers::Dialect::Anthropic)
}

/// How to get from a dialect to one of those that a target speaks: not at all when it is among them, and `None` when no pair
/// leads there.
fn way(from: Dialect, speaks: &[Dialect]) -> Option<&'static [Pair]> {
    let has = |dialect| speaks.contains(&dialect);
    match from {
        _ if has(from) => Some(&[]),
        Dialect::Responses if has(Dialect::Chat) => Some(&[Pair::ResponsesToChat]),
        Dialect::Responses if has(Dialect::Messages) => Some(&[Pair::ResponsesToChat, Pair::ChatToMessages]),
        Dialect::Messages if has(Dialect::Chat) => Some(&[Pair::MessagesToChat]),
        Dialect::Chat if has(Dialect::Messages) => Some(&[Pair::ChatToMessages]),
        _ => None,
    }
}

/// Token ids mean something only to the tokenizer that made them.
fn foreign_tokens(endpoint: Endpoint) -> Refusal {
    let param = if endpoint == Endpoint::Completions { "prompt" } else { "input" };
    let words =
        format!("`{param}` holds token ids, which mean something else to the model behind this route. Send text.");
    Refusal::unsupported(words, param)
}

/// Vectors of the target would lie among those of another model.
fn foreign_space() -> Refusal {
    let words = "Its vectors live in another space than those of the model behind this route.";
    Refusal::unsupported(words, "model")
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
            Pair::ResponsesToChat | Pair::MessagesToChat => Endpoint::ChatCompletions,
            Pair::ChatToMessages => Endpoint::Messages,
        }
    }

    fn request(self, body: &Bytes, target: &Target) -> Result<Translated, Refusal> {
        let (policy, name) = (&target.translation, &target.name);
        match self {
            Pair::ResponsesToChat => responses::request(body, policy, name),
            Pair::MessagesToChat => inbound::request(body, policy, name),
            Pair::ChatToMessages => outbound::request(body, policy, name, &target.claude),
        }
    }

    fn answer(self, body: &[u8], context: &Context<'_>) -> Result<Vec<u8>, Failure> {
        match self {
            Pair::ResponsesToChat => responses::answer(body, context),
            Pair::MessagesToChat => inbound::answer(body, context),
            Pair::ChatToMessages => outbound::answer(body, context),
        }
    }

    fn error(self, status: u16, body: &[u8]) -> (u16, Vec<u8>) {
        match self {
            Pair::ResponsesToChat => (status, responses::error(status, body)),
            Pair::MessagesToChat => (inbound::error_status(status, body), inbound::error(status, body)),
            Pair::ChatToMessages => (outbound::error_status(status), outbound::error(status, body)),
        }
    }

    fn stream(self, context: &Context<'_>) -> Half {
        match self {
            Pair::ResponsesToChat => Half::Responses(Box::new(responses::Stream::new(context))),
            Pair::MessagesToChat => Half::Messages(Box::new(inbound::Stream::new(context))),
            Pair::ChatToMessages => Half::Chat(Box::new(outbound::Stream::new(context))),
        }
    }
}

impl Translation {
    /// A whole answer in the caller's dialect.
    pub(crate) fn answer(&self, body: &[u8], marks: Marks) -> Result<Bytes, Failure> {
        answer_through(&self.steps, body, marks)
    }

    /// The status and the body of an answer that is an error in the caller's dialect.
    pub(crate) fn error(&self, status: u16, body: &[u8]) -> (u16, Bytes) {
        let mut answer = (status, Cow::Borrowed(body));
        for (pair, _) in self.steps.iter().rev() {
            let (status, body) = pair.error(answer.0, &answer.1);
            answer = (status, Cow::Owned(body));
        }
        (answer.0, Bytes::from(answer.1.into_owned()))
    }

    /// A translator for one streamed answer; none when both sides speak the same dialect.
    pub(crate) fn stream(&self, marks: Marks) -> Option<Translator> {
        translator(&self.steps, marks)
    }
}

fn answer_through(steps: &[(Pair, Bytes)], body: &[u8], marks: Marks) -> Result<Bytes, Failure> {
    let mut answer = Cow::Borrowed(body);
    for (pair, request) in steps.iter().rev() {
        let id = marks.text();
        answer = Cow::Owned(pair.answer(&answer, &marks.context(&id, request))?);
    }
    Ok(Bytes::from(answer.into_owned()))
}

fn translator(steps: &[(Pair, Bytes)], marks: Marks) -> Option<Translator> {
    let id = marks.text();
    let half = |(pair, request): &(Pair, Bytes)| pair.stream(&marks.context(&id, request));
    let mut halves = steps.iter().rev().map(half);
    let first = halves.next()?;
    Some(Translator { first, second: halves.next().map(|half| (Decoder::new(), half)) })
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
    first: Half,
    /// What reads the first's words, when no pair leads all the way.
    second: Option<(Decoder, Half)>,
}

#[derive(Debug)]
enum Half {
    Responses(Box<responses::Stream>),
    Messages(Box<inbound::Stream>),
    Chat(Box<outbound::Stream>),
}

impl Translator {
    /// What the caller gets for one event of the target.
    pub(crate) fn event(&mut self, event: &Event) -> Result<Bytes, Failure> {
        let bytes = self.first.event(event)?;
        self.pass_on(bytes)
    }

    /// The last events, when the target's stream has ended.
    pub(crate) fn end(&mut self) -> Result<Bytes, Failure> {
        let bytes = self.first.end()?;
        let mut last = Vec::from(self.pass_on(bytes)?);
        if let Some((_, second)) = &mut self.second {
            last.append(&mut second.end()?);
        }
        Ok(Bytes::from(last))
    }

    /// The events that tell the caller that the stream failed.
    pub(crate) fn fail(&mut self, error: &ErrorBody) -> Bytes {
        let last = self.second.as_mut().map_or(&mut self.first, |(_, second)| second);
        Bytes::from(last.fail(error))
    }

    fn pass_on(&mut self, bytes: Vec<u8>) -> Result<Bytes, Failure> {
        let Some((decoder, second)) = &mut self.second else { return Ok(Bytes::from(bytes)) };
        let mut events = Vec::new();
        decoder
            .push(Bytes::from(bytes), &mut events)
            .map_err(|error| Failure::new(FailureKind::Malformed, error.to_string()))?;
        let mut said = Vec::new();
        for event in events {
            said.append(&mut second.event(&event)?);
        }
        Ok(Bytes::from(said))
    }
}

impl Half {
    fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure> {
        match self {
            Half::Responses(stream) => stream.event(event),
            Half::Messages(stream) => stream.event(event),
            Half::Chat(stream) => stream.event(event),
        }
    }

    fn end(&mut self) -> Result<Vec<u8>, Failure> {
        match self {
            Half::Responses(stream) => stream.end(),
            Half::Messages(stream) => stream.end(),
            Half::Chat(stream) => stream.end(),
        }
    }

    fn fail(&mut self, error: &ErrorBody) -> Vec<u8> {
        match self {
            Half::Responses(stream) => stream.fail(error),
            Half::Messages(stream) => stream.fail(error),
            Half::Chat(stream) => stream.fail(error),
        }
    }
}
