//! A streamed answer: chunks of a chat completion to the events of a response.
//!
//! The order of events is that of the vendor: `response.created`, `response.in_progress`; per item `output_item.added`, its
//! parts and deltas, `output_item.done`; at the end `response.completed` or `response.incomplete`. An item of reasoning or a
//! message is done when something else begins; calls of tools, whose chunks may alternate, are all done when the model has
//! stopped. The last event waits for the usage, which comes after that, or for the end.

use super::super::Context;
use super::super::chat::{Answer, Choice, ToolCall, Usage};
use super::super::json::Writer;
use super::answer::call_id;
use super::object::{Body, Call, Head, Item, LogProbability, Part, State, Status, annotation, reasoning_part};
use crate::failure::{Failure, FailureKind};
use crate::openai::ErrorBody;
use crate::sse::{Event, EventKind};

/// Translates one streamed answer; see [`crate::translate`] for the contract.
#[derive(Debug)]
pub struct Stream {
    head: Head,
    phase: Phase,
    events: Events,
    items: Vec<Item>,
    /// The item of reasoning or the message that is not done.
    open: Option<usize>,
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

/// The events made and not yet handed over.
#[derive(Debug, Default)]
struct Events {
    bytes: Vec<u8>,
    next: u64,
}

impl Events {
    fn emit(&mut self, kind: &str, fill: impl FnOnce(&mut Writer)) {
        let mut data = Writer::with_capacity(192);
        data.member("type", kind);
        data.member("sequence_number", &self.next);
        fill(&mut data);
        self.next += 1;
        for piece in ["event: ", kind, "\ndata: ", &data.finish(), "\n\n"] {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
    }
}

impl Stream {
    /// A translator for the answer to `context.request`.
    pub fn new(context: &Context<'_>) -> Stream {
        Stream {
            head: Head::new(context),
            phase: Phase::Waiting,
            events: Events::default(),
            items: Vec::new(),
            open: None,
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
        Ok(std::mem::take(&mut self.events.bytes))
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
            let object = self.head.object(State::Failed(error), &self.items, self.usage.as_ref());
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
        std::mem::take(&mut self.events.bytes)
    }

    /// The items of the output so far, as an array: after the end what [`super::kept`] wants.
    pub fn output(&self) -> String {
        self.head.output(&self.items)
    }

    /// What the last event says, as a response object; in progress while there was none.
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
        self.delta(choice);
        match choice.finish_reason() {
            None => Ok(()),
            Some(reason) => match State::of_finish_reason(&reason) {
                Some(state) => self.stop(state),
                None => Err(Failure::new(FailureKind::ErrorInStream, "the chat server gave up")),
            },
        }
    }

    fn delta(&mut self, choice: &Choice<'_>) {
        let Some(delta) = choice.said() else { return };
        if let Some(text) = delta.reasoning() {
            self.reasoning(text);
        }
        if let Some(text) = delta.text() {
            let logprobs =
                choice.logprobs.iter().flat_map(|all| all.content.iter().flatten()).map(LogProbability::of).collect();
            self.text(text, logprobs);
        }
        for annotation in delta.annotations.iter().flatten().filter_map(|raw| annotation(raw)) {
            self.annotation(annotation);
        }
        if let Some(refusal) = delta.refused() {
            self.refusal(refusal);
        }
        for (place, call) in (0_u64..).zip(delta.tool_calls.iter().flatten()) {
            self.call(call, place);
        }
    }

    fn reasoning(&mut self, delta: &str) {
        let idx = match self.open {
            Some(idx) if matches!(self.items[idx].body, Body::Reasoning { .. }) => idx,
            _ => {
                self.close_open(Status::Completed);
                let idx = self.add(Body::Reasoning { text: None });
                self.open = Some(idx);
                let id = self.head.item_id(&self.items[idx], idx);
                self.events.emit(
                    "response.content_part.added",
                    place(&id, idx, 0, |data| {
                        data.raw("part", &reasoning_part(""));
                    }),
                );
                idx
            }
        };
        let id = self.head.item_id(&self.items[idx], idx);
        if let Body::Reasoning { text } = &mut self.items[idx].body {
            text.get_or_insert_default().push_str(delta);
        }
        self.events.emit("response.reasoning_text.delta", place(&id, idx, 0, |data| data.member("delta", delta)));
    }

    fn text(&mut self, delta: &str, new: Vec<LogProbability>) {
        let (idx, part_idx) = self.part(|part| matches!(part, Part::Text { .. }), || Part::text(""));
        let id = self.head.item_id(&self.items[idx], idx);
        let shown = LogProbability::in_event(&new);
        if let Some(Part::Text { text, logprobs, .. }) = last_part(&mut self.items[idx]) {
            text.push_str(delta);
            logprobs.extend(new);
        }
        self.events.emit(
            "response.output_text.delta",
            place(&id, idx, part_idx, |data| {
                data.member("delta", delta);
                data.raw("logprobs", &shown);
            }),
        );
    }

    fn annotation(&mut self, annotation: String) {
        let (idx, part_idx) = self.part(|part| matches!(part, Part::Text { .. }), || Part::text(""));
        let id = self.head.item_id(&self.items[idx], idx);
        if let Some(Part::Text { annotations, .. }) = last_part(&mut self.items[idx]) {
            let n_before = annotations.len();
            self.events.emit(
                "response.output_text.annotation.added",
                place(&id, idx, part_idx, |data| {
                    data.member("annotation_index", &n_before);
                    data.raw("annotation", &annotation);
                }),
            );
            annotations.push(annotation);
        }
    }

    fn refusal(&mut self, delta: &str) {
        let new = || Part::Refusal { refusal: String::new() };
        let (idx, part_idx) = self.part(|part| matches!(part, Part::Refusal { .. }), new);
        let id = self.head.item_id(&self.items[idx], idx);
        if let Some(Part::Refusal { refusal }) = last_part(&mut self.items[idx]) {
            refusal.push_str(delta);
        }
        self.events.emit("response.refusal.delta", place(&id, idx, part_idx, |data| data.member("delta", delta)));
    }

    /// The open message and its last part, which is of the kind wanted; begins what is not there.
    fn part(&mut self, wanted: impl Fn(&Part) -> bool, new: impl FnOnce() -> Part) -> (usize, usize) {
        let idx = match self.open {
            Some(idx) if matches!(self.items[idx].body, Body::Message { .. }) => idx,
            _ => {
                self.close_open(Status::Completed);
                let idx = self.add(Body::Message { parts: Vec::new() });
                self.open = Some(idx);
                idx
            }
        };
        if !last_part(&mut self.items[idx]).is_some_and(|part| wanted(part)) {
            self.close_part(idx);
            let id = self.head.item_id(&self.items[idx], idx);
            if let Body::Message { parts } = &mut self.items[idx].body {
                let part = new();
                self.events.emit(
                    "response.content_part.added",
                    place(&id, idx, parts.len(), |data| {
                        data.raw("part", &part.to_json());
                    }),
                );
                parts.push(part);
            }
        }
        let n_parts = match &self.items[idx].body {
            Body::Message { parts } => parts.len(),
            Body::Reasoning { .. } | Body::Call(_) => 1,
        };
        (idx, n_parts - 1)
    }

    fn call(&mut self, delta: &ToolCall<'_>, place_in_chunk: u64) {
        let place = delta.index.unwrap_or(place_in_chunk);
        let called = delta.custom.as_ref().or(delta.function.as_ref());
        let name = called.and_then(|called| called.name.as_deref()).unwrap_or_default();
        let id = delta.id.as_deref().unwrap_or_default();
        // Some servers count every call as the first: another name under another id is another call.
        let same = |call: &OpenCall| {
            call.place == place && (name.is_empty() || id.is_empty() || call.id.is_empty() || call.id == id)
        };
        let at = match self.calls.iter().rposition(|call| call.place == place).filter(|&at| same(&self.calls[at])) {
            Some(at) => at,
            None => {
                self.calls.push(OpenCall { place, ..OpenCall::default() });
                self.calls.len() - 1
            }
        };
        let input = called.map(|called| called.arguments()).unwrap_or_default();
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        call.custom |= delta.custom.is_some();
        if call.item.is_some() {
            return self.input(at, &input);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        call.early.push_str(&input);
        if !self.calls[at].name.is_empty() {
            self.begin_call(at);
        }
    }

    fn begin_call(&mut self, at: usize) {
        self.close_open(Status::Completed);
        let taken: Vec<String> = self
            .items
            .iter()
            .filter_map(|item| match &item.body {
                Body::Call(call) => Some(call.call_id.clone()),
                _ => None,
            })
            .collect();
        let call = &mut self.calls[at];
        let body = Call {
            custom: call.custom,
            call_id: call_id(Some(&call.id), &self.head, &taken, self.items.len()),
            name: call.name.clone(),
            input: String::new(),
        };
        call.item = Some(self.items.len());
        let early = std::mem::take(&mut call.early);
        self.add(Body::Call(body));
        self.input(at, &early);
    }

    fn input(&mut self, at: usize, delta: &str) {
        let Some(idx) = self.calls[at].item.filter(|_| !delta.is_empty()) else { return };
        let id = self.head.item_id(&self.items[idx], idx);
        if let Body::Call(call) = &mut self.items[idx].body {
            call.input.push_str(delta);
            let kind = if call.custom {
                "response.custom_tool_call_input.delta"
            } else {
                "response.function_call_arguments.delta"
            };
            self.events.emit(kind, of_item(&id, idx, |data| data.member("delta", delta)));
        }
    }

    fn add(&mut self, body: Body) -> usize {
        let idx = self.items.len();
        let item = Item::new(body, Status::InProgress);
        let shown = self.head.item(&item, idx);
        self.items.push(item);
        self.events.emit("response.output_item.added", |data| {
            data.member("output_index", &idx);
            data.raw("item", &shown);
        });
        idx
    }

    /// The model has stopped: everything that is open is done. What it said last is not whole when the answer is not.
    fn stop(&mut self, state: State<'static>) -> Result<(), Failure> {
        if self.calls.iter().any(|call| call.item.is_none()) {
            return Err(Failure::new(FailureKind::Malformed, "a tool call without a name"));
        }
        let last = self.items.len().wrapping_sub(1);
        let status = |idx: usize| match state {
            State::Incomplete(_) if idx == last => Status::Incomplete,
            _ => Status::Completed,
        };
        let mut open: Vec<usize> = self.calls.iter().filter_map(|call| call.item).chain(self.open).collect();
        open.sort_unstable();
        for idx in open {
            if self.open == Some(idx) {
                self.close_open(status(idx));
            } else {
                self.close_call(idx);
                self.close_item(idx, status(idx));
            }
        }
        self.phase = Phase::Stopped(state);
        Ok(())
    }

    fn close_open(&mut self, status: Status) {
        if let Some(idx) = self.open.take() {
            self.close_part(idx);
            self.close_item(idx, status);
        }
    }

    /// The part that is open in the item at `idx` is done.
    fn close_part(&mut self, idx: usize) {
        let item = &self.items[idx];
        let id = self.head.item_id(item, idx);
        let (part_idx, part, kind) = match &item.body {
            Body::Reasoning { text } => {
                let text = text.as_deref().unwrap_or_default();
                self.events.emit("response.reasoning_text.done", place(&id, idx, 0, |data| data.member("text", text)));
                (0, reasoning_part(text), "response.content_part.done")
            }
            Body::Message { parts } => {
                let Some(part) = parts.last() else { return };
                let part_idx = parts.len() - 1;
                match part {
                    Part::Text { text, logprobs, .. } => {
                        self.events.emit(
                            "response.output_text.done",
                            place(&id, idx, part_idx, |data| {
                                data.member("text", text);
                                data.raw("logprobs", &LogProbability::in_event(logprobs));
                            }),
                        );
                    }
                    Part::Refusal { refusal } => self.events.emit(
                        "response.refusal.done",
                        place(&id, idx, part_idx, |data| data.member("refusal", refusal)),
                    ),
                }
                (part_idx, part.to_json(), "response.content_part.done")
            }
            Body::Call(_) => return,
        };
        self.events.emit(kind, place(&id, idx, part_idx, |data| data.raw("part", &part)));
    }

    fn close_call(&mut self, idx: usize) {
        let item = &self.items[idx];
        let id = self.head.item_id(item, idx);
        match &item.body {
            Body::Call(call) if call.custom => self.events.emit(
                "response.custom_tool_call_input.done",
                of_item(&id, idx, |data| data.member("input", &call.input)),
            ),
            Body::Call(call) => self.events.emit(
                "response.function_call_arguments.done",
                of_item(&id, idx, |data| {
                    data.member("name", &call.name);
                    data.member("arguments", &call.input);
                }),
            ),
            Body::Reasoning { .. } | Body::Message { .. } => {}
        }
    }

    fn close_item(&mut self, idx: usize, status: Status) {
        self.items[idx].status = status;
        let shown = self.head.item(&self.items[idx], idx);
        self.events.emit("response.output_item.done", |data| {
            data.member("output_index", &idx);
            data.raw("item", &shown);
        });
    }

    fn finish(&mut self, state: State<'static>) -> Vec<u8> {
        let kind = match state {
            State::Incomplete(_) => "response.incomplete",
            _ => "response.completed",
        };
        let object = self.object(state);
        self.events.emit(kind, |data| data.raw("response", &object));
        self.phase = Phase::Over;
        std::mem::take(&mut self.events.bytes)
    }
}

fn last_part(item: &mut Item) -> Option<&mut Part> {
    match &mut item.body {
        Body::Message { parts } => parts.last_mut(),
        Body::Reasoning { .. } | Body::Call(_) => None,
    }
}

/// Where in the output an event belongs.
fn of_item<'a>(id: &'a str, idx: usize, fill: impl FnOnce(&mut Writer) + 'a) -> impl FnOnce(&mut Writer) + 'a {
    move |data| {
        data.member("item_id", id);
        data.member("output_index", &idx);
        fill(data);
    }
}

/// Where in an item an event belongs.
fn place<'a>(
    id: &'a str,
    idx: usize,
    part_idx: usize,
    fill: impl FnOnce(&mut Writer) + 'a,
) -> impl FnOnce(&mut Writer) + 'a {
    of_item(id, idx, move |data| {
        data.member("content_index", &part_idx);
        fill(data);
    })
}
