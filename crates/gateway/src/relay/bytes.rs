//! An answer that is neither judged nor held as a whole: a file, sound, whatever a provider keeps. It goes through piece by
//! piece; the first byte waits until the request is on record, the last until the answer is.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use providers::{ReplyBody, Timeouts};
use wire::failure::{Failure, FailureKind};
use wire::record::{Endpoint, ExchangeOutcome, Service};

use super::close;
use crate::body::{Ending, Outlet};
use crate::call::{end_attempt, note};
use crate::drain::{LocalPhase, Phase};
use crate::parse::Parsed;
use crate::record::Exchange;

/// A body whose first piece is there. Until then another target can take over.
pub(crate) struct Pieces {
    first: Option<Bytes>,
    rest: ReplyBody,
    patience: Patience,
}

/// How long the next piece may take: as long as the next token of a stream, and all of them together as long as a call.
#[derive(Clone, Copy)]
struct Patience {
    first: Duration,
    next: Duration,
    end: Instant,
}

impl Pieces {
    /// Waits for the first piece of the answer of an attempt that began at `started`.
    pub(crate) async fn open(
        mut body: ReplyBody,
        phase: &LocalPhase,
        (timeouts, started): (&Timeouts, Instant),
    ) -> Result<Self, Failure> {
        let end = started + timeouts.total;
        let mut patience = Patience { first: timeouts.first_token, next: timeouts.inter_token, end };
        let first = next(&mut body, phase, (&mut patience, true)).await?;
        Ok(Self { first, rest: body, patience })
    }
}

/// Whether a success is passed through piece by piece: what a provider keeps always, else what is not JSON.
pub(crate) fn is_passed_through(request: &Parsed, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    match request.endpoint.service() {
        Service::Provider => true,
        Service::Evidence => false,
        Service::Route => request.endpoint == Endpoint::Speech || !kind.starts_with(b"application/json"),
    }
}

async fn next(
    body: &mut ReplyBody,
    phase: &LocalPhase,
    (patience, is_first): (&mut Patience, bool),
) -> Result<Option<Bytes>, Failure> {
    let began = Instant::now();
    let (limit, kind) = if is_first {
        (began + patience.first, FailureKind::TimeoutFirstToken)
    } else {
        (began + patience.next, FailureKind::TimeoutInterToken)
    };
    let (limit, kind) = if patience.end < limit { (patience.end, FailureKind::TimeoutTotal) } else { (limit, kind) };
    let mut piece = pin!(body.next());
    let read = poll_fn(|cx| {
        if phase.get() >= Phase::Cutting {
            return Poll::Ready(Err(Failure::new(FailureKind::ShuttingDown, "cut at the drain's deadline")));
        }
        piece.as_mut().poll(cx).map(Option::transpose)
    });
    match tokio::time::timeout_at(limit.into(), read).await {
        Ok(piece) => piece,
        Err(_) => Err(Failure::new(kind, "the answer stalled")),
    }
}

/// Sends the pieces as they come. The last one is held back until the answer is on record.
pub(super) async fn send(mut exchange: Box<Exchange>, pieces: Pieces, outlet: Outlet) -> Ending {
    let Pieces { first, rest: mut body, mut patience } = pieces;
    let worker = std::rc::Rc::clone(&exchange.worker);
    let mut held = first.unwrap_or_default();
    let mut n_bytes = held.len() as u64;
    exchange.keep(&held);
    let ended = loop {
        match next(&mut body, &worker.phase, (&mut patience, false)).await {
            Ok(Some(piece)) => {
                n_bytes += piece.len() as u64;
                exchange.keep(&piece);
                note(&mut exchange, |record| record.answer_bytes = n_bytes);
                let ready = Instant::now();
                outlet.send(std::mem::replace(&mut held, piece)).await;
                // Time spent on handing a piece to the caller is not the provider's.
                patience.end += ready.elapsed();
            }
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    note(&mut exchange, |record| record.answer_bytes = n_bytes);
    end_attempt(&mut exchange, ended.as_ref().err());
    let (outcome, kind) = match &ended {
        Ok(()) => (ExchangeOutcome::Complete, None),
        Err(failure) => {
            // The provider hears of it now, not when the record is written.
            drop(body);
            (ExchangeOutcome::Truncated, Some(failure.kind))
        }
    };
    match close(&mut exchange, outcome, kind).await.and(ended) {
        Ok(()) => Ending::Whole(held),
        Err(_) => Ending::Cut(held),
    }
}
