//! A streamed chat answer as the events of a Messages stream.
//!
//! Messages has one block open at a time, chat may send the pieces of several calls in turn. A call is streamed as it comes;
//! another one waits until the arguments of the open one are a whole object. Servers that send calls one after the other,
//! all that are known, never make one wait.

use std::fmt;

use super::answer::{Asked, CALLER, Part, call_id, write_usage};
use super::arguments::{State, Tracker};
use super::stop::{Stop, chat_tokens};
use crate::failure::{Failure, FailureKind};
use crate::messages::thinking::SIGNATURE;
use crate::messages::{Tokens, error};
use crate::openai::ErrorBody;
use crate::scan::Kind;
use crate::sse::{Event, EventKind};
use crate::translate::Context;
use crate::translate::messages::json::{Json, escape};
use crate::translate::messages::view::{Members, View};
use crate::translate::messages::{is_error, malformed};

/// More calls than this in one answer are a fault of the server's.
const MAX_CALLS: usize = 1024;

/// The most bytes that wait for the end of a call: as many as the gateway gathers of an answer elsewhere.
const MAX_WAITING_BYTES: usize = crate::openai::content::MAX_BYTES;

/// Translates one streamed answer. The contract is that of [`crate::translate`].
pub struct Stream {
    /// Letters and digits of the answer's id.
    id: String,
    asked: Asked,
    phase: Phase,
    /// The block that was begun last, while it is open.
    open: Option<Block>,
    n_blocks: u64,
    calls: Vec<Call>,
    /// Text that came while the arguments of a call were not whole.
    late_text: Vec<u8>,
    refused: bool,
    stop: Option<Stop>,
    tokens: Tokens,
    out: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was sent.
    Waiting,
    Started,
    /// Ended or failed.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
    /// The call at this place of `calls`.
    Call(usize),
}

#[derive(Default)]
struct Call {
    /// What the server counts it as.
    index: u64,
    id: Vec<u8>,
    name: Vec<u8>,
    arguments: Tracker,
    /// Escaped arguments that were not sent.
    waiting: Vec<u8>,
    begun: bool,
    ended: bool,
}

/// Without what the model says.
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("phase", &self.phase).field("n_blocks", &self.n_blocks).finish_non_exhaustive()
    }
}

impl Stream {
    /// A translator for the answer to `context.request`.
    pub fn new(context: &Context<'_>) -> Stream {
        Stream {
            id: context.id.to_owned(),
            asked: Asked::read(context.request),
            phase: Phase::Waiting,
            open: None,
            n_blocks: 0,
            calls: Vec::new(),
            late_text: Vec::new(),
            refused: false,
            stop: None,
            tokens: Tokens::default(),
            out: Vec::new(),
        }
    }

    /// What to send on for one event of the target.
    ///
    /// # Errors
    ///
    /// The target's failure: an error event, a chunk that is none, or the end of an answer whose calls are not whole.
    pub fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure> {
        if self.phase == Phase::Over || event.kind == EventKind::Comment {
            return Ok(Vec::new());
        }
        if event.kind == EventKind::Error {
            return Err(Failure::new(FailureKind::ErrorInStream, "an error event"));
        }
        if event.data.trim_ascii() == b"[DONE]" {
            self.finish()?;
        } else {
            self.chunk(&event.data)?;
        }
        Ok(std::mem::take(&mut self.out))
    }

    /// The target's stream has ended. A server that never sends `[DONE]` has said why it stopped.
    ///
    /// # Errors
    ///
    /// The stream was cut.
    pub fn end(&mut self) -> Result<Vec<u8>, Failure> {
        if self.phase != Phase::Over {
            if self.stop.is_none() {
                return Err(Failure::new(FailureKind::Disconnected, "the stream ended before the answer"));
            }
            self.finish()?;
        }
        Ok(std::mem::take(&mut self.out))
    }

    /// The event that tells the caller that the stream failed. Nothing when it has ended.
    pub fn fail(&mut self, body: &ErrorBody) -> Vec<u8> {
        if self.phase == Phase::Over {
            return Vec::new();
        }
        self.phase = Phase::Over;
        error::event(body).to_vec()
    }

    fn chunk(&mut self, data: &[u8]) -> Result<(), Failure> {
        let mut top = Members::whole(data).map_err(malformed)?;
        if is_error(&mut top) {
            return Err(Failure::new(FailureKind::ErrorInStream, "an error in place of a chunk"));
        }
        if let Some(usage) = top.take("usage") {
            self.tokens.update(chat_tokens(usage));
        }
        let Some(choices) = top.take("choices") else { return Ok(()) };
        for choice in choices.elements().map_err(malformed)? {
            let mut choice = choice.members().map_err(malformed)?;
            if choice.take("index").and_then(View::unsigned).unwrap_or(0) != 0 {
                continue;
            }
            self.start();
            if let Some(delta) = choice.take("delta") {
                self.delta(delta.members().map_err(malformed)?)?;
            }
            if let Some(finish) = choice.take("finish_reason").and_then(View::text) {
                let matched = choice.take("stop_reason").or(choice.take("matched_stop")).and_then(View::inner);
                self.stop = Stop::of(Some(&finish), matched, !self.calls.is_empty(), self.refused);
                if self.stop.is_none() {
                    return Err(Failure::new(FailureKind::ErrorInStream, "the chat server gave up"));
                }
            }
        }
        Ok(())
    }

    fn start(&mut self) {
        if self.phase != Phase::Waiting {
            return;
        }
        self.phase = Phase::Started;
        let mut json = Json::with_capacity(256);
        json.open(b'{');
        json.member_text("type", "message_start");
        json.key("message");
        json.open(b'{');
        json.member_escaped("id", &[b"msg_", self.id.as_bytes()]);
        json.member_text("type", "message");
        json.member_text("role", "assistant");
        json.member_escaped("model", &[&self.asked.model]);
        json.member("content", b"[]");
        json.member("stop_reason", b"null");
        for unknown in ["stop_sequence", "stop_details", "container"] {
            json.member(unknown, b"null");
        }
        json.key("usage");
        // A chat server counts at the end. The totals of `message_delta` take the place of these.
        write_usage(&mut json, &Tokens::default(), Part::Message);
        json.close(b'}');
        json.close(b'}');
        self.send("message_start", json);
    }

    fn delta(&mut self, mut delta: Members<'_>) -> Result<(), Failure> {
        let reasoning = ["reasoning_content", "reasoning"].iter().find_map(|name| delta.take_inner(name));
        if let Some(thinking) = reasoning.filter(|piece| self.asked.thinking && !piece.is_empty())
            && !self.waits_for_call()
        {
            self.switch_to(Block::Thinking);
            self.send_delta("thinking_delta", "thinking", thinking);
        }
        let content = delta.take_inner("content").unwrap_or_default();
        let refusal = delta.take_inner("refusal").unwrap_or_default();
        self.refused |= !refusal.is_empty();
        for text in [content, refusal].into_iter().filter(|text| !text.is_empty()) {
            if self.waits_for_call() {
                self.late_text.extend_from_slice(text);
                self.check_waiting()?;
            } else {
                self.switch_to(Block::Text);
                self.send_delta("text_delta", "text", text);
            }
        }
        let Some(calls) = delta.take("tool_calls") else { return Ok(()) };
        for (place, call) in calls.elements().map_err(malformed)?.into_iter().enumerate() {
            self.call(place, call.members().map_err(malformed)?)?;
        }
        Ok(())
    }

    /// Takes a piece of a call.
    fn call(&mut self, place: usize, mut piece: Members<'_>) -> Result<(), Failure> {
        let index = piece.take("index").and_then(View::unsigned).unwrap_or(place as u64);
        let id = piece.take_inner("id").filter(|id| !id.is_empty());
        // Some servers count every call as the first; another id is another call.
        let other = |call: &Call| id.is_some_and(|id| !call.id.is_empty() && call.id != id);
        let at = match self.calls.iter().rposition(|call| call.index == index).filter(|at| !other(&self.calls[*at])) {
            Some(at) => at,
            None if self.calls.len() == MAX_CALLS => {
                return Err(Failure::new(FailureKind::Malformed, "more calls than an answer can have"));
            }
            None => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if let Some(id) = id.filter(|_| call.id.is_empty()) {
            call.id = id.to_vec();
        }
        if let Some(function) = piece.take("function") {
            let mut function = function.members().map_err(malformed)?;
            if let Some(name) = function.take_inner("name").filter(|_| !call.begun) {
                // Some servers repeat the name, none sends it in pieces.
                call.name = name.to_vec();
            }
            match function.take("arguments") {
                Some(text) if text.kind == Kind::String => {
                    call.arguments.push(&text.lossy());
                    call.waiting.extend_from_slice(text.inner().unwrap_or_default());
                }
                // Some servers give the object itself.
                Some(object) => {
                    call.arguments.push(object.raw());
                    escape(object.raw(), &mut call.waiting);
                }
                None => {}
            }
        }
        match call.arguments.state() {
            State::Broken => return Err(Failure::new(FailureKind::Malformed, "arguments that are no JSON object")),
            _ if call.ended => call.waiting.clear(),
            _ => self.advance(),
        }
        if self.calls[at].waiting.is_empty() { Ok(()) } else { self.check_waiting() }
    }

    /// Whether there is room for what waits.
    fn check_waiting(&self) -> Result<(), Failure> {
        let n_bytes = self.calls.iter().map(|call| call.waiting.len()).sum::<usize>() + self.late_text.len();
        if n_bytes > MAX_WAITING_BYTES {
            return Err(Failure::new(FailureKind::Malformed, "calls interleaved beyond the limit"));
        }
        Ok(())
    }

    /// True while a call is open whose arguments are not whole: nothing else may begin.
    fn waits_for_call(&self) -> bool {
        matches!(self.open, Some(Block::Call(at)) if self.calls[at].arguments.state() != State::Whole)
    }

    /// Sends what the calls have to send, in their order, as far as one at a time allows.
    fn advance(&mut self) {
        for at in 0..self.calls.len() {
            let call = &self.calls[at];
            if call.ended || call.name.is_empty() {
                continue;
            }
            if self.open != Some(Block::Call(at)) {
                if self.waits_for_call() {
                    return;
                }
                self.switch_to(Block::Call(at));
            }
            let waiting = std::mem::take(&mut self.calls[at].waiting);
            if !waiting.is_empty() {
                self.send_delta("input_json_delta", "partial_json", &waiting);
            }
        }
    }

    /// Makes `block` the open one.
    fn switch_to(&mut self, block: Block) {
        if self.open == Some(block) {
            return;
        }
        self.close();
        self.open = Some(block);
        let mut json = Json::with_capacity(128);
        json.open(b'{');
        json.member_text("type", "content_block_start");
        json.member_number("index", self.n_blocks);
        json.key("content_block");
        json.open(b'{');
        match block {
            Block::Text => {
                json.member_text("type", "text");
                json.member_text("text", "");
                json.member("citations", b"null");
            }
            Block::Thinking => {
                json.member_text("type", "thinking");
                json.member_text("thinking", "");
                json.member_text("signature", "");
            }
            Block::Call(at) => {
                let call = &mut self.calls[at];
                call.begun = true;
                json.member_text("type", "tool_use");
                json.member_escaped("id", &[&call_id(Some(&call.id), at, &self.id)]);
                json.member_escaped("name", &[&call.name]);
                json.member("input", b"{}");
                json.member("caller", CALLER);
            }
        }
        json.close(b'}');
        json.close(b'}');
        self.n_blocks += 1;
        self.send("content_block_start", json);
    }

    fn close(&mut self) {
        let Some(block) = self.open else { return };
        match block {
            Block::Thinking => self.send_delta("signature_delta", "signature", SIGNATURE.as_bytes()),
            Block::Call(at) => self.calls[at].ended = true,
            Block::Text => {}
        }
        self.open = None;
        let mut json = Json::with_capacity(64);
        json.open(b'{');
        json.member_text("type", "content_block_stop");
        json.member_number("index", self.n_blocks - 1);
        json.close(b'}');
        self.send("content_block_stop", json);
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.phase == Phase::Waiting {
            return Err(Failure::new(FailureKind::Malformed, "a stream without a chunk"));
        }
        // Some servers say `[DONE]` and never why they stopped: that is an end and no cut.
        let stop = self.stop.take().unwrap_or_else(|| Stop::unsaid(!self.calls.is_empty(), self.refused));
        for at in 0..self.calls.len() {
            let call = &self.calls[at];
            if call.arguments.state() == State::Open && !stop.is_cut() {
                return Err(Failure::new(FailureKind::Malformed, "arguments that do not end"));
            }
            if call.name.is_empty() {
                return Err(Failure::new(FailureKind::Malformed, "a call without a name"));
            }
            if !call.ended {
                self.switch_to(Block::Call(at));
                let waiting = std::mem::take(&mut self.calls[at].waiting);
                if !waiting.is_empty() {
                    self.send_delta("input_json_delta", "partial_json", &waiting);
                }
            }
        }
        let late_text = std::mem::take(&mut self.late_text);
        if !late_text.is_empty() {
            self.switch_to(Block::Text);
            self.send_delta("text_delta", "text", &late_text);
        }
        self.close();
        let mut json = Json::with_capacity(192);
        json.open(b'{');
        json.member_text("type", "message_delta");
        json.key("delta");
        json.open(b'{');
        stop.write(&mut json);
        json.close(b'}');
        json.key("usage");
        write_usage(&mut json, &self.tokens, Part::Delta);
        json.close(b'}');
        self.send("message_delta", json);
        self.out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        self.phase = Phase::Over;
        Ok(())
    }

    /// A delta of the open block; `piece` is escaped.
    fn send_delta(&mut self, kind: &str, field: &str, piece: &[u8]) {
        let mut json = Json::with_capacity(piece.len() + 128);
        json.open(b'{');
        json.member_text("type", "content_block_delta");
        json.member_number("index", self.n_blocks - 1);
        json.key("delta");
        json.open(b'{');
        json.member_text("type", kind);
        json.member_escaped(field, &[piece]);
        json.close(b'}');
        json.close(b'}');
        self.send("content_block_delta", json);
    }

    fn send(&mut self, name: &str, data: Json) {
        for part in [b"event: ", name.as_bytes(), b"\ndata: ", &data.into_bytes(), b"\n\n"] {
            self.out.extend_from_slice(part);
        }
    }
}
