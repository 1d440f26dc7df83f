//! A Messages stream as the chunks of a chat answer.

use std::fmt;

use super::answer::{Asked, finish_reason, write_usage};
use crate::failure::{Failure, FailureKind};
use crate::messages::{Tokens, error};
use crate::openai::ErrorBody;
use crate::sse::{DONE, Event, EventKind, error_event};
use crate::translate::Context;
use crate::translate::messages::json::Json;
use crate::translate::messages::malformed;
use crate::translate::messages::view::{Members, View};

/// More open blocks than this are a fault of the server's: the dialect has one at a time.
const MAX_OPEN: usize = 64;

/// Translates one streamed answer. The contract is that of [`crate::translate`].
pub struct Stream {
    /// The members every chunk begins with.
    head: Vec<u8>,
    asked: Asked,
    phase: Phase,
    /// What each open block is, by its index.
    blocks: Vec<(u64, Block)>,
    n_calls: u64,
    /// `finish_reason` was sent.
    finished: bool,
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

enum Block {
    Text,
    Thinking,
    /// A call, its place among the calls, and what its input is when no piece of it comes.
    Call {
        place: u64,
        input: Option<Vec<u8>>,
    },
    /// One that chat has no word for.
    Other,
}

/// Without what the model says.
impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("phase", &self.phase).field("n_calls", &self.n_calls).finish_non_exhaustive()
    }
}

impl Stream {
    /// A translator for the answer to `context.request`.
    pub fn new(context: &Context<'_>) -> Stream {
        let asked = Asked::read(context.request);
        let mut head = Json::with_capacity(160);
        head.open(b'{');
        head.member_escaped("id", &[b"chatcmpl-", context.id.as_bytes()]);
        head.member_text("object", "chat.completion.chunk");
        head.member_number("created", context.created_s);
        head.member_escaped("model", &[&asked.model]);
        Stream {
            head: head.into_bytes(),
            asked,
            phase: Phase::Waiting,
            blocks: Vec::new(),
            n_calls: 0,
            finished: false,
            tokens: Tokens::default(),
            out: Vec::new(),
        }
    }

    /// What to send on for one event of the target.
    ///
    /// # Errors
    ///
    /// The target's failure: an error event, or an event that cannot be read.
    pub fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure> {
        if self.phase == Phase::Over || event.kind == EventKind::Comment {
            return Ok(Vec::new());
        }
        let mut data = match Members::whole(&event.data) {
            Ok(data) => data,
            Err(_) if event.kind == EventKind::Error => {
                return Err(Failure::new(FailureKind::ErrorInStream, "an error event"));
            }
            Err(error) => return Err(malformed(error)),
        };
        let kind = data.take("type").and_then(View::text).unwrap_or_default();
        match kind.as_ref() {
            "message_start" => {
                if let Some(usage) = data.take("message").and_then(|message| message.get("usage")) {
                    self.count(usage);
                }
                self.start();
            }
            "content_block_start" => self.block_start(data)?,
            "content_block_delta" => self.block_delta(data)?,
            "content_block_stop" => self.block_stop(&mut data),
            "message_delta" => {
                if let Some(usage) = data.take("usage") {
                    self.count(usage);
                }
                if let Some(reason) = data.take("delta").and_then(|delta| delta.get("stop_reason")?.text()) {
                    self.finished = true;
                    self.chunk(Some(finish_reason(Some(&reason), self.asked.functions)), |_| {});
                }
            }
            "message_stop" => self.finish()?,
            "error" => return Err(failed(&mut data)),
            _ if event.kind == EventKind::Error => return Err(failed(&mut data)),
            // `ping`, and what later versions add: the dialect asks to pass over it.
            _ => {}
        }
        Ok(std::mem::take(&mut self.out))
    }

    /// The target's stream has ended; the last event of a whole one is `message_stop`.
    ///
    /// # Errors
    ///
    /// The stream was cut.
    pub fn end(&mut self) -> Result<Vec<u8>, Failure> {
        match self.phase {
            Phase::Over => Ok(Vec::new()),
            _ => Err(Failure::new(FailureKind::Disconnected, "the stream ended before `message_stop`")),
        }
    }

    /// The event that tells the caller that the stream failed. Nothing when it has ended.
    pub fn fail(&mut self, body: &ErrorBody) -> Vec<u8> {
        if self.phase == Phase::Over {
            return Vec::new();
        }
        self.phase = Phase::Over;
        error_event(body).to_vec()
    }

    fn count(&mut self, usage: View<'_>) {
        self.tokens.update(Tokens::read(usage.raw(), 0..usage.raw().len()).unwrap_or_default());
    }

    /// The first chunk: the role and nothing said.
    fn start(&mut self) {
        if self.phase != Phase::Waiting {
            return;
        }
        self.phase = Phase::Started;
        self.chunk(None, |delta| {
            delta.member_text("role", "assistant");
            delta.member_text("content", "");
            delta.member("refusal", b"null");
        });
    }

    fn block_start(&mut self, mut data: Members<'_>) -> Result<(), Failure> {
        self.start();
        let index = index(&mut data)?;
        if self.blocks.len() == MAX_OPEN {
            return Err(incomplete("blocks that do not end"));
        }
        let block = data.take("content_block").ok_or_else(|| incomplete("a block that is none"))?;
        let mut block = block.members().map_err(malformed)?;
        let kind = block.take("type").and_then(View::text).unwrap_or_default();
        let (field, first, kind) = match kind.as_ref() {
            "text" => ("content", block.take_inner("text"), Block::Text),
            "thinking" => ("reasoning_content", block.take_inner("thinking"), Block::Thinking),
            "tool_use" => {
                let call = self.call(block)?;
                self.blocks.push((index, call));
                return Ok(());
            }
            _ => ("", None, Block::Other),
        };
        self.blocks.push((index, kind));
        if let Some(first) = first.filter(|first| !first.is_empty()) {
            self.chunk(None, |delta| delta.member_escaped(field, &[first]));
        }
        Ok(())
    }

    /// The first chunk of a call, the only one with its id and name.
    fn call(&mut self, mut block: Members<'_>) -> Result<Block, Failure> {
        let (id, name) = (block.take_inner("id"), block.take_inner("name"));
        let (id, name) = id.zip(name).ok_or_else(|| incomplete("a call without id or name"))?;
        let input = block.take("input").map(|input| input.raw().to_vec());
        let place = self.n_calls;
        self.n_calls += 1;
        if self.asked.functions {
            // There is room for one.
            if place == 0 {
                self.chunk(None, |delta| {
                    delta.key("function_call");
                    delta.open(b'{');
                    delta.member_escaped("name", &[name]);
                    delta.member_text("arguments", "");
                    delta.close(b'}');
                });
            }
        } else {
            self.chunk(None, |delta| {
                delta.key("tool_calls");
                delta.open(b'[');
                delta.open(b'{');
                delta.member_number("index", place);
                delta.member_escaped("id", &[id]);
                delta.member_text("type", "function");
                delta.key("function");
                delta.open(b'{');
                delta.member_escaped("name", &[name]);
                delta.member_text("arguments", "");
                delta.close(b'}');
                delta.close(b'}');
                delta.close(b']');
            });
        }
        Ok(Block::Call { place, input: Some(input.unwrap_or_else(|| b"{}".to_vec())) })
    }

    fn block_delta(&mut self, mut data: Members<'_>) -> Result<(), Failure> {
        self.start();
        let index = index(&mut data)?;
        let delta = data.take("delta").ok_or_else(|| incomplete("a delta that is none"))?;
        let mut delta = delta.members().map_err(malformed)?;
        let Some((_, block)) = self.blocks.iter_mut().find(|(open, _)| *open == index) else {
            return Err(incomplete("a delta of a block that is not open"));
        };
        match block {
            Block::Text => {
                if let Some(text) = delta.take_inner("text").filter(|text| !text.is_empty()) {
                    self.chunk(None, |delta| delta.member_escaped("content", &[text]));
                }
            }
            Block::Thinking => {
                if let Some(thinking) = delta.take_inner("thinking").filter(|thinking| !thinking.is_empty()) {
                    self.chunk(None, |delta| delta.member_escaped("reasoning_content", &[thinking]));
                }
            }
            Block::Call { place, input } => {
                if let Some(piece) = delta.take_inner("partial_json").filter(|piece| !piece.is_empty()) {
                    *input = None;
                    let place = *place;
                    self.arguments(place, piece);
                }
            }
            Block::Other => {}
        }
        Ok(())
    }

    /// A call whose input did not come in pieces has it in its beginning.
    fn block_stop(&mut self, data: &mut Members<'_>) {
        let index = data.take("index").and_then(View::unsigned);
        let Some(at) = self.blocks.iter().position(|(open, _)| Some(*open) == index) else { return };
        if let (_, Block::Call { place, input: Some(input) }) = self.blocks.remove(at) {
            let mut piece = Vec::with_capacity(input.len() + 8);
            crate::translate::messages::json::escape(&input, &mut piece);
            self.arguments(place, &piece);
        }
    }

    /// A piece of a call's arguments, escaped.
    fn arguments(&mut self, place: u64, piece: &[u8]) {
        if !self.asked.functions {
            return self.chunk(None, |delta| {
                delta.key("tool_calls");
                delta.open(b'[');
                delta.open(b'{');
                delta.member_number("index", place);
                delta.key("function");
                delta.open(b'{');
                delta.member_escaped("arguments", &[piece]);
                delta.close(b'}');
                delta.close(b'}');
                delta.close(b']');
            });
        }
        if place == 0 {
            self.chunk(None, |delta| {
                delta.key("function_call");
                delta.open(b'{');
                delta.member_escaped("arguments", &[piece]);
                delta.close(b'}');
            });
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.phase == Phase::Waiting {
            return Err(incomplete("a stream without a message"));
        }
        if !self.finished {
            self.chunk(Some("stop"), |_| {});
        }
        if self.asked.usage {
            self.out.extend_from_slice(b"data: ");
            self.out.extend_from_slice(&self.head);
            let mut usage = Json::default();
            write_usage(&mut usage, &self.tokens);
            for part in [b",\"choices\":[],\"usage\":", usage.into_bytes().as_slice(), b"}\n\n"] {
                self.out.extend_from_slice(part);
            }
        }
        self.out.extend_from_slice(DONE);
        self.phase = Phase::Over;
        Ok(())
    }

    /// Sends a chunk whose delta holds what `write` writes.
    fn chunk(&mut self, finish: Option<&str>, write: impl FnOnce(&mut Json)) {
        let mut json = Json::with_capacity(128);
        json.key("choices");
        json.open(b'[');
        json.open(b'{');
        json.member("index", b"0");
        json.key("delta");
        json.open(b'{');
        write(&mut json);
        json.close(b'}');
        json.member("logprobs", b"null");
        json.key("finish_reason");
        match finish {
            Some(reason) => json.text(reason),
            None => json.raw(b"null"),
        }
        json.close(b'}');
        json.close(b']');
        if self.asked.usage {
            json.member("usage", b"null");
        }
        for part in [b"data: ", self.head.as_slice(), b",", &json.into_bytes(), b"}\n\n"] {
            self.out.extend_from_slice(part);
        }
    }
}

fn index(data: &mut Members<'_>) -> Result<u64, Failure> {
    data.take("index").and_then(View::unsigned).ok_or_else(|| incomplete("an event without an index"))
}

fn incomplete(what: &str) -> Failure {
    Failure::new(FailureKind::Malformed, what)
}

/// The failure an error event tells. What another target cannot better either keeps its kind.
fn failed(data: &mut Members<'_>) -> Failure {
    let kind = data.take("error").and_then(|error| error.get("type")?.text());
    let failure = match kind.as_deref().map(error::kind) {
        Some(kind @ (FailureKind::RateLimited | FailureKind::QuotaExhausted | FailureKind::Authentication)) => kind,
        _ => FailureKind::ErrorInStream,
    };
    Failure::new(failure, "an error event")
}
