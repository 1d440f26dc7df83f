//! A streamed answer: chunks of a chat completion to the events of a response.
//!
//! The order of events is that of the vendor: `response.created`, `response.in_progress`; per item `output_item.added`, its
//! parts and deltas, `output_item.done`; at the end `response.completed` or `response.incomplete`. One item is open at a time:
//! some applications take every event for the item that was last added. Reasoning or a message is done when something else
//! begins. A call is done when another begins and its arguments are whole; until they are, the chunks of the other wait, so that
//! calls whose chunks alternate come one after the other too. The last event waits for the usage, which comes after the model
//! has stopped, or for the end.

mod show;

use super::super::Context;
use super::super::chat::{Answer, Choice, ToolCall, Usage};
use super::answer::call_id;
use super::object::{Body, Call, Head, Item, LogProbability, Part, State, Status, annotation};
use crate::failure::{Failure, FailureKind};
use crate::openai::{ErrorBody, well_formed};
use crate::sse::{Event, EventKind};
use show::{Events, Shown};

/// Translates one streamed answer; see [`crate::translate`] for the contract.
#[derive(Debug)]
pub struct Stream {
    head: Head,
    phase: Phase,
    events: Events,
    items: Vec<Item>,
    /// The item that is open to the caller; those before it are done, those after it wait.
    current: usize,
    shown: Shown,
    calls: Vec<OpenCall>,
    usage: Option<Usage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No chunk yet.
    Waiting,
    Open,
    /// The model has stopped; the usage may follow.
    Stopped(State<'static>),
    /// The last event was made.
    Over,
}

/// A call while its chunks arrive.
#[derive(Debug, Default)]
struct OpenCall {
    /// The place the target counts it at.
    place: u64,
    /// The id the target gave.
    id: String,
    custom: bool,
    name: String,
    /// What arrived before the name.
    early: String,
    /// Its item, once it has a name.
    item: Option<usize>,
}

impl Stream {
    /// A translator for the answer to `context.request`.
    pub fn new(context: &Context<'_>) -> Stream {
        Stream {
            head: Head::new(context),
            phase: Phase::Waiting,
            events: Events::default(),
            items: Vec::new(),
            current: 0,
            shown: Shown::default(),
            calls: Vec::new(),
            usage: None,
        }
    }

    /// Takes the target's next event; gives the events to send on, possibly none.
    ///
    /// Fails on an error event, on what is no chunk of a chat completion, and when the target says that it gave up. What was
    /// made before the failure is handed over by [`Stream::fail`].
    pub fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure> {
        match event.kind {
            _ if self.phase == Phase::Over => return Ok(Vec::new()),
            EventKind::Comment => return Ok(Vec::new()),
            EventKind::Error => return Err(Failure::new(FailureKind::ErrorInStream, "an error event in the stream")),
            EventKind::Data => {}
        }
        if event.data.trim_ascii() == b"[DONE]" {
            return match self.phase {
                Phase::Waiting => Err(Failure::new(FailureKind::Malformed, "a stream without a chunk")),
                // Some servers never say why they stopped, but this is an end and no cut.
                Phase::Open => self.stop(State::Completed).map(|()| self.finish(State::Completed)),
                Phase::Stopped(state) => Ok(self.finish(state)),
                Phase::Over => Ok(Vec::new()),
            };
        }
        self.chunk(&Answer::read(&event.data, FailureKind::ErrorInStream)?)?;
        Ok(self.events.take())
    }

    /// The target's stream has ended: the last events, if `[DONE]` did not bring them. Fails when the model had not stopped.
    pub fn end(&mut self) -> Result<Vec<u8>, Failure> {
        match self.phase {
            Phase::Stopped(state) => Ok(self.finish(state)),
            Phase::Over => Ok(Vec::new()),
            Phase::Waiting | Phase::Open => {
                Err(Failure::new(FailureKind::Disconnected, "the stream ended before the answer did"))
            }
        }
    }

    /// The events that tell the caller that the stream failed: `response.failed` with what there is so far, if anything was
    /// sent, then `error`, on which the official SDKs raise. Nothing when the answer is complete.
    pub fn fail(&mut self, error: &ErrorBody) -> Vec<u8> {
        if self.phase == Phase::Over {
            return Vec::new();
        }
        if self.phase != Phase::Waiting {
            for item in self.items.iter_mut().filter(|item| item.status == Status::InProgress) {
                item.status = Status::Incomplete;
            }
            let object = self.object(State::Failed(error));
            self.events.emit("response.failed", |data| data.raw("response", &object));
        }
        self.events.emit("error", |data| {
            data.member("code", &error.code);
            data.member("message", &error.message);
            data.member("param", &error.param);
            // The description of the API has the three above, its servers send the one below; the SDKs raise on it.
            data.member("error", error);
        });
        self.phase = Phase::Over;
        self.events.take()
    }

    /// The items of the output so far, as an array: after the end what [`super::kept`] wants.
    pub fn output(&self) -> String {
        self.head.output(&self.items)
    }

    fn object(&self, state: State<'_>) -> String {
        self.head.object(state, &self.items, self.usage.as_ref())
    }

    fn chunk(&mut self, chunk: &Answer<'_>) -> Result<(), Failure> {
        self.head.take_up(chunk);
        if self.phase == Phase::Waiting {
            self.phase = Phase::Open;
            for kind in ["response.created", "response.in_progress"] {
                let object = self.object(State::InProgress);
                self.events.emit(kind, |data| data.raw("response", &object));
            }
        }
        self.usage = chunk.usage.or(self.usage);
        let Some(choice) = chunk.choice().filter(|_| self.phase == Phase::Open) else { return Ok(()) };
        self.delta(choice)?;
        self.advance();
        match choice.finish_reason() {
            None => Ok(()),
            Some(reason) => match State::of_finish_reason(&reason) {
                Some(state) => self.stop(state),
                None => Err(Failure::new(FailureKind::ErrorInStream, "the chat server gave up")),
            },
        }
    }

    fn delta(&mut self, choice: &Choice<'_>) -> Result<(), Failure> {
        let Some(delta) = choice.said() else { return Ok(()) };
        if let Some(more) = delta.reasoning() {
            match self.items.last_mut().map(|item| &mut item.body) {
                Some(Body::Reasoning { text }) => text.push_str(more),
                _ => self.add(Body::Reasoning { text: more.to_owned() }),
            }
        }
        let new_annotations: Vec<String> =
            delta.annotations.iter().flatten().filter_map(|raw| annotation(raw)).collect();
        if delta.text().is_some() || !new_annotations.is_empty() {
            let all = choice.logprobs.iter().flat_map(|all| all.content.iter().flatten());
            let more = delta.text().unwrap_or_default();
            let is_text = |part: &Part| matches!(part, Part::Text { .. });
            if let Some(Part::Text { text, annotations, logprobs }) = self.part(is_text, Part::text) {
                text.push_str(more);
                logprobs.extend(all.map(LogProbability::of));
                annotations.extend(new_annotations);
            }
        }
        if let Some(more) = delta.refused() {
            let is_refusal = |part: &Part| matches!(part, Part::Refusal { .. });
            if let Some(Part::Refusal { refusal }) = self.part(is_refusal, Part::refusal) {
                refusal.push_str(more);
            }
        }
        (0_u64..).zip(delta.tool_calls.iter().flatten()).try_for_each(|(place, call)| self.call(call, place))
    }

    /// The part that goes on, which is of the kind wanted; a new one, in a new message, when there is none.
    fn part(&mut self, wanted: impl Fn(&Part) -> bool, new: impl Fn() -> Part) -> Option<&mut Part> {
        if !matches!(self.items.last().map(|item| &item.body), Some(Body::Message { .. })) {
            self.add(Body::Message { parts: Vec::new() });
        }
        let Body::Message { parts } = &mut self.items.last_mut()?.body else { return None };
        if !parts.last().is_some_and(wanted) {
            parts.push(new());
        }
        parts.last_mut()
    }

    fn add(&mut self, body: Body) {
        self.items.push(Item::new(body, Status::InProgress));
    }

    fn call(&mut self, delta: &ToolCall<'_>, place_in_chunk: u64) -> Result<(), Failure> {
        let place = delta.index.unwrap_or(place_in_chunk);
        let called = delta.custom.as_ref().or(delta.function.as_ref());
        let name = called.and_then(|called| called.name.as_deref()).unwrap_or_default();
        let id = delta.id.as_deref().unwrap_or_default();
        // Some servers count every call as the first: another name under another id is another call.
        let same = |call: &OpenCall| name.is_empty() || id.is_empty() || call.id.is_empty() || call.id == id;
        let known = self.calls.iter().rposition(|call| call.place == place).filter(|&at| same(&self.calls[at]));
        let at = known.unwrap_or_else(|| {
            self.calls.push(OpenCall { place, ..OpenCall::default() });
            self.calls.len() - 1
        });
        let input = called.map(|called| called.arguments()).unwrap_or_default();
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        call.custom |= delta.custom.is_some();
        match call.item {
            Some(idx) => self.input(idx, &input),
            None => {
                if call.name.is_empty() {
                    name.clone_into(&mut call.name);
                }
                call.early.push_str(&input);
                if !call.name.is_empty() {
                    self.begin_call(at);
                }
                Ok(())
            }
        }
    }

    fn begin_call(&mut self, at: usize) {
        let taken: Vec<String> = self.items.iter().filter_map(|item| Some(item.as_call()?.call_id.clone())).collect();
        let idx = self.items.len();
        let call = &mut self.calls[at];
        call.item = Some(idx);
        let body = Call {
            custom: call.custom,
            call_id: call_id(Some(&call.id), &self.head, &taken, idx),
            name: std::mem::take(&mut call.name),
            input: std::mem::take(&mut call.early),
        };
        self.add(Body::Call(body));
    }

    fn input(&mut self, idx: usize, more: &str) -> Result<(), Failure> {
        if idx < self.current && !more.trim_ascii().is_empty() {
            return Err(Failure::new(FailureKind::Malformed, "more arguments after those of a call were whole"));
        }
        if let Body::Call(call) = &mut self.items[idx].body
            && idx >= self.current
        {
            call.input.push_str(more);
        }
        Ok(())
    }

    /// Shows what is new, and goes on to the next item when the current one is done.
    fn advance(&mut self) {
        while self.current < self.items.len() {
            self.show();
            let is_last = self.current + 1 == self.items.len();
            let done = match &self.items[self.current].body {
                Body::Reasoning { .. } | Body::Message { .. } => true,
                // Nothing can follow a whole object. What is no object is known to be whole when the model has stopped.
                Body::Call(call) => !call.custom && is_object(call.input.as_bytes()),
            };
            if is_last || !done {
                return;
            }
            self.close(Status::Completed);
        }
    }

    /// The model has stopped: everything is done. What it said last is not whole when the answer is not.
    fn stop(&mut self, state: State<'static>) -> Result<(), Failure> {
        if self.calls.iter().any(|call| call.item.is_none()) {
            return Err(Failure::new(FailureKind::Malformed, "a tool call without a name"));
        }
        while self.current < self.items.len() {
            self.show();
            let is_last = self.current + 1 == self.items.len();
            self.close(match state {
                State::Incomplete(_) if is_last => Status::Incomplete,
                _ => Status::Completed,
            });
        }
        self.phase = Phase::Stopped(state);
        Ok(())
    }

    fn finish(&mut self, state: State<'static>) -> Vec<u8> {
        let kind = match state {
            State::Incomplete(_) => "response.incomplete",
            _ => "response.completed",
        };
        let object = self.object(state);
        self.events.emit(kind, |data| data.raw("response", &object));
        self.phase = Phase::Over;
        self.events.take()
    }
}

fn is_object(input: &[u8]) -> bool {
    let input = input.trim_ascii();
    input.starts_with(b"{") && input.ends_with(b"}") && well_formed(input)
}
