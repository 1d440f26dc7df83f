//! Who is asked how: a target of the config as the gateway would, and a URL as it is.

use std::sync::Arc;

use bench::engine::{Ask, Asked, ReadStream};
use bytes::Bytes;
use gateway::offline::{Prepared, StreamReader, prepare};
use gateway::snapshot::{Snapshot, Target};
use govern::Residency;
use providers::{Call, Timeouts};
use wire::failure::{Failure, FailureKind};
use wire::record::Endpoint;
use wire::splice::Pieces;
use wire::sse::{Decoder, Event};

/// A target of the config.
pub(super) struct OfConfig {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) target: Arc<Target>,
}

impl Ask for OfConfig {
    fn prepare(&self, body: Bytes) -> Result<Box<dyn Asked>, Failure> {
        let what = (Endpoint::ChatCompletions, body, Residency::default());
        Ok(Box::new(Ready(prepare(&self.snapshot, &self.target, what)?)))
    }
}

struct Ready(Prepared);

impl Asked for Ready {
    fn call(&self, timeouts: Timeouts) -> Call {
        self.0.call(timeouts)
    }

    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(Reader(self.0.reader()))
    }
}

struct Reader(StreamReader);

impl ReadStream for Reader {
    fn push(&mut self, bytes: &Bytes, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        self.0.push(bytes, chunks)
    }

    fn end(&mut self, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        self.0.end(chunks)
    }
}

/// A server of the OpenAI dialect at a URL.
pub(super) struct OfUrl;

impl Ask for OfUrl {
    fn prepare(&self, body: Bytes) -> Result<Box<dyn Asked>, Failure> {
        Ok(Box::new(Plain(body)))
    }
}

struct Plain(Bytes);

impl Asked for Plain {
    fn call(&self, timeouts: Timeouts) -> Call {
        Call {
            endpoint: Endpoint::ChatCompletions,
            body: Pieces::from(self.0.clone()),
            streamed: true,
            request_id: None,
            hops: 0,
            timeouts,
            sent: None,
            pause: std::time::Duration::ZERO,
            special: None,
        }
    }

    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(PlainReader(Some(Decoder::new())))
    }
}

struct PlainReader(Option<Decoder>);

impl ReadStream for PlainReader {
    fn push(&mut self, bytes: &Bytes, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(decoder) = &mut self.0 else { return Ok(()) };
        decoder.push(bytes.clone(), chunks).map_err(|error| Failure::new(FailureKind::Malformed, error.to_string()))
    }

    fn end(&mut self, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        chunks.extend(self.0.take().and_then(|decoder| decoder.finish().event));
        Ok(())
    }
}
