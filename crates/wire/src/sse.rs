//! Server-sent events: cut into whole events with every byte kept, however the network split them.

mod boundary;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;

use crate::openai::ErrorBody;
use crate::splice::Pieces;
use boundary::Boundary;

/// The longest event a decoder takes when nothing else is said.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// The event that ends a stream of the OpenAI dialect.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// One whole event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Every byte of it, the blank line at its end included.
    pub raw: Bytes,
    /// Its data; lines are joined by `\n`. A slice of `raw` when there is one line.
    pub data: Bytes,
    /// What it is.
    pub kind: EventKind,
    /// Where `data` is in `raw`, when it is one line.
    data_start: Option<usize>,
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It has data.
    Data,
    /// It is an error: its name is `error`, or it has a field `error` in place of data (older llama.cpp servers).
    Error,
    /// It has no data: a comment, a blank line, a bare `id` or `retry`. No sign of life.
    Comment,
}

impl Event {
    /// The same event with other data, which is one line.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Event {
        let (before, after) = match self.data_start {
            Some(start) => (&self.raw[..start], &self.raw[start + self.data.len()..]),
            None => (&b"data: "[..], &b"\n\n"[..]),
        };
        let raw = Bytes::from([before, data, after].concat());
        let data = raw.slice(before.len()..before.len() + data.len());
        Event { data, data_start: Some(before.len()), kind: self.kind, raw }
    }

    /// Reads `raw`, the bytes of one event; a byte order mark before it is skipped.
    pub fn parse(raw: Bytes) -> Event {
        parse(raw, true)
    }

    /// True when there is no data in it.
    pub fn is_comment(&self) -> bool {
        self.kind == EventKind::Comment
    }

    /// The event with `cut` removed from its data; every other byte stays when the data is one line.
    pub fn without(&self, cut: std::ops::Range<usize>) -> Pieces {
        match self.data_start {
            Some(start) => Pieces::cut(self.raw.clone(), start + cut.start..start + cut.end),
            None => {
                let mut out = BytesMut::with_capacity(self.raw.len());
                let kept = [&self.data[..cut.start], &self.data[cut.end..]].concat();
                for line in kept.split(|&b| b == b'\n') {
                    out.put_slice(b"data: ");
                    out.put_slice(line);
                    out.put_u8(b'\n');
                }
                out.put_u8(b'\n');
                Pieces::from(out.freeze())
            }
        }
    }
}

/// The stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event is longer than the bound.
    #[error("an event of the stream is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: usize,
    },
}

/// Cuts a stream into events.
#[derive(Debug)]
pub struct Decoder {
    boundary: Boundary,
    /// The beginning of an event whose end has not arrived.
    pending: BytesMut,
    limit: usize,
    failed: Option<SseError>,
    /// No event yet: a byte order mark may come.
    at_start: bool,
}

/// What was left when the stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// A last event whose end only the end of the stream made certain (it ended in a bare CR).
    pub event: Option<Event>,
    /// The bytes of an event that never ended; empty after a clean end.
    pub incomplete: Bytes,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// A decoder that takes events of up to [`MAX_EVENT_BYTES`].
    pub fn new() -> Decoder {
        Decoder::with_limit(MAX_EVENT_BYTES)
    }

    /// A decoder that takes events of up to `limit` bytes.
    pub fn with_limit(limit: usize) -> Decoder {
        Decoder { boundary: Boundary::default(), pending: BytesMut::new(), limit, failed: None, at_start: true }
    }

    /// Takes events of up to `limit` bytes from here on, when that is less.
    pub fn limit_to(&mut self, limit: usize) {
        self.limit = self.limit.min(limit);
    }

    /// Takes the next bytes and appends the events they complete to `events`. Once it failed, it fails for ever; the
    /// events before the failure are in `events`.
    pub fn push(&mut self, mut chunk: Bytes, events: &mut Vec<Event>) -> Result<(), SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while !chunk.is_empty() {
            let end = self.boundary.find(&chunk);
            let n_more = end.unwrap_or(chunk.len());
            if self.pending.len() + n_more > self.limit {
                let error = SseError::TooLong { limit: self.limit };
                self.failed = Some(error);
                return Err(error);
            }
            match end {
                Some(end) if self.pending.is_empty() => {
                    events.push(parse(chunk.split_to(end), self.at_start));
                    self.at_start = false;
                }
                Some(end) => {
                    self.pending.extend_from_slice(&chunk.split_to(end));
                    events.push(parse(self.pending.split().freeze(), self.at_start));
                    self.at_start = false;
                }
                None => {
                    self.pending.extend_from_slice(&chunk);
                    break;
                }
            }
        }
        Ok(())
    }

    /// The bytes of an event whose end has not arrived.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// The stream ended: what is left?
    pub fn finish(self) -> End {
        let left = self.pending.freeze();
        if self.boundary.ends_here() {
            End { event: Some(parse(left, self.at_start)), incomplete: Bytes::new() }
        } else {
            End { event: None, incomplete: left }
        }
    }
}

/// The event that tells a caller that the stream failed. After it comes nothing, above all no `[DONE]`.
pub fn error_event(body: &ErrorBody) -> Bytes {
    let json = body.to_json();
    let mut event = BytesMut::with_capacity(json.len() + 8);
    event.put_slice(b"data: ");
    event.put_slice(&json);
    event.put_slice(b"\n\n");
    event.freeze()
}

/// The fields of an event, gathered line by line.
#[derive(Default)]
struct Fields {
    /// The only data line so far.
    one: Option<std::ops::Range<usize>>,
    /// All data lines, when there are several.
    many: Option<BytesMut>,
    error: Option<std::ops::Range<usize>>,
    named_error: bool,
}

fn parse(raw: Bytes, at_start: bool) -> Event {
    let mut fields = Fields::default();
    let mut at = if at_start && raw.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    while at < raw.len() {
        let end = memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |idx| at + idx);
        read_line(&raw, at..end, &mut fields);
        at = end + 1;
    }
    let Fields { one, many, error, named_error } = fields;
    let (kind, data, data_start) = match (many, one, error) {
        (Some(many), ..) => (EventKind::Data, many.freeze(), None),
        (None, Some(one), _) => (EventKind::Data, raw.slice(one.clone()), Some(one.start)),
        (None, None, Some(error)) => (EventKind::Error, raw.slice(error.clone()), Some(error.start)),
        (None, None, None) => return Event { raw, data: Bytes::new(), kind: EventKind::Comment, data_start: None },
    };
    Event { raw, data, kind: if named_error { EventKind::Error } else { kind }, data_start }
}

fn read_line(raw: &[u8], line: std::ops::Range<usize>, fields: &mut Fields) {
    let text = &raw[line.clone()];
    let value = |name: &[u8]| -> Option<std::ops::Range<usize>> {
        let rest = text.strip_prefix(name)?;
        match rest {
            [] => Some(line.end..line.end),
            [b':', b' ', ..] => Some(line.start + name.len() + 2..line.end),
            [b':', ..] => Some(line.start + name.len() + 1..line.end),
            _ => None,
        }
    };
    if let Some(data) = value(b"data") {
        match (&mut fields.many, fields.one.clone()) {
            (Some(many), _) => {
                many.put_u8(b'\n');
                many.put_slice(&raw[data]);
            }
            (None, Some(first)) => {
                let mut many = BytesMut::with_capacity(raw.len());
                many.put_slice(&raw[first]);
                many.put_u8(b'\n');
                many.put_slice(&raw[data]);
                fields.many = Some(many);
            }
            (None, None) => fields.one = Some(data),
        }
    } else if let Some(name) = value(b"event") {
        fields.named_error = &raw[name] == b"error";
    } else if let Some(error) = value(b"error") {
        fields.error = Some(error);
    }
}

#[cfg(test)]
mod tests;
