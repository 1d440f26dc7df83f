//! A target of the config as an evaluation asks it: as the gateway would.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use eval::case::Case;
use eval::run::{Ask, Asked, ReadStream, Target, Used};
use gateway::offline::{Prepared, StreamReader, prepare, prepare_question};
use gateway::snapshot::Snapshot;
use providers::{Call, Timeouts};
use serde_json::Value;
use wire::failure::Failure;
use wire::record::Endpoint;
use wire::sse::Event;

/// Asks one target.
struct Asker {
    snapshot: Arc<Snapshot>,
    target: Arc<gateway::snapshot::Target>,
    /// It is asked to judge: how its answer is asked to look is no part of the question.
    judges: bool,
}

/// What is ready to be sent, how many documents it asks to be ranked, and of how many texts it asks for vectors.
struct Ready {
    prepared: Prepared,
    ranks: Option<usize>,
    n_texts: Option<usize>,
}

/// The target as a worker calls it, as one that judges or as one that answers.
pub(super) fn target(snapshot: &Arc<Snapshot>, target: &Arc<gateway::snapshot::Target>, judges: bool) -> Target {
    Target {
        provider: Arc::clone(&target.provider),
        retries: target.calling.retries,
        max_concurrency: target.calling.max_concurrency,
        ask: Rc::new(Asker { snapshot: Arc::clone(snapshot), target: Arc::clone(target), judges }),
    }
}

impl Ask for Asker {
    fn prepare(&self, case: &Case, body: Bytes) -> Result<Box<dyn Asked>, Failure> {
        // A case of a request that could not leave the house cannot either.
        let route = case.source.as_ref().and_then(|source| source.route.as_ref());
        let route = route.and_then(|route| self.snapshot.routes.get(route));
        let residency = route.map(|route| route.residency).unwrap_or_default();
        let ranks = case.ranks();
        // What an encoder is asked has texts where others have messages.
        let n_texts = case.request.get("input").and_then(Value::as_array).map(Vec::len);
        let prepared = if self.judges {
            prepare_question(&self.snapshot, &self.target, (body, residency))?
        } else {
            let endpoint = match (ranks, n_texts) {
                (Some(_), _) => Endpoint::Rerank,
                (None, Some(_)) => Endpoint::Embeddings,
                (None, None) => Endpoint::ChatCompletions,
            };
            prepare(&self.snapshot, &self.target, (endpoint, body, residency))?
        };
        Ok(Box::new(Ready { prepared, ranks, n_texts }))
    }

    fn price(&self, used: &Used) -> Option<u64> {
        self.snapshot.prices.price_of(
            (&self.target.name, &self.target.model),
            used.usage.as_ref(),
            (used.started_us, used.duration_us),
        )
    }
}

impl Asked for Ready {
    fn body(&self) -> &Bytes {
        &self.prepared.body
    }

    fn call(&self, timeouts: Timeouts) -> Call {
        self.prepared.call(timeouts)
    }

    fn read(&self, body: &Bytes) -> Result<Bytes, Failure> {
        self.prepared.read(body)
    }

    fn n_texts(&self) -> Option<usize> {
        self.n_texts
    }

    fn reader(&self) -> Box<dyn ReadStream> {
        Box::new(Reader(self.prepared.reader()))
    }

    fn ranks(&self) -> Option<usize> {
        self.ranks
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
