use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use wire::failure::{Failure, FailureKind};

use crate::errors;
use crate::simulated::SimulatedBody;

/// The head of an answer, and its body to be read. Dropping it before the end aborts the upstream.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
    /// Whether it is made up.
    pub simulated: bool,
}

/// A body that arrives piece by piece.
///
/// Dropping it before its end aborts the upstream at once: over HTTP/1.1 the connection is closed, over HTTP/2 the stream
/// is reset. A body that was read to its end gives the connection back to the pool.
#[derive(Debug)]
pub struct ReplyBody {
    source: Source,
    has_marked_end: bool,
    /// Held until the body is gone: a call counts as long as its answer is read.
    _in_flight: Option<InFlight>,
}

#[derive(Debug)]
enum Source {
    Upstream(Incoming),
    Simulated(Box<SimulatedBody>),
    Done,
}

impl ReplyBody {
    pub(crate) fn upstream(head: &Parts, incoming: Incoming, in_flight: InFlight) -> Self {
        let has_marked_end = has_marked_end(head.version, &head.headers);
        Self { source: Source::Upstream(incoming), has_marked_end, _in_flight: Some(in_flight) }
    }

    pub(crate) fn simulated(body: SimulatedBody, in_flight: InFlight) -> Self {
        Self { source: Source::Simulated(Box::new(body)), has_marked_end: true, _in_flight: Some(in_flight) }
    }

    /// One that no provider sent.
    pub(crate) fn made_up(body: SimulatedBody) -> Self {
        Self { source: Source::Simulated(Box::new(body)), has_marked_end: true, _in_flight: None }
    }

    /// The next piece; `None` at the end, which was a proper end. A body that was cut ends with an error instead.
    /// Giving up the future loses no bytes.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`ReplyBody::next`], for callers that take all that is ready at once.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let item = match &mut self.source {
            Source::Upstream(incoming) => loop {
                match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    None => break None,
                    Some(Err(error)) => break Some(Err(errors::while_reading(&error))),
                    // Trailers have no place in this dialect.
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) if bytes.is_empty() => {}
                        Ok(bytes) => break Some(Ok(bytes)),
                        Err(_) => {}
                    },
                }
            },
            Source::Simulated(body) => ready!(body.poll_next(cx)),
            Source::Done => None,
        };
        if !matches!(item, Some(Ok(_))) {
            self.source = Source::Done;
        }
        Poll::Ready(item)
    }

    /// Whether nothing more will come, as far as that is known without waiting.
    pub fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Upstream(incoming) => incoming.is_end_stream(),
            Source::Simulated(_) => false,
            Source::Done => true,
        }
    }

    /// Whether the end of this body can be told from a cut. Without a length and without chunks it ends where the
    /// connection does (RFC 9112 §6.3), and a crashed server closes its connections too.
    pub fn has_marked_end(&self) -> bool {
        self.has_marked_end
    }

    /// How many bytes are still to come, when the upstream announced it.
    pub fn announced(&self) -> Option<u64> {
        match &self.source {
            Source::Upstream(incoming) => incoming.size_hint().exact(),
            Source::Simulated(body) => body.announced(),
            Source::Done => Some(0),
        }
    }

    /// Reads the whole body, at most `limit` bytes. No timer runs here: the caller's deadline covers it.
    pub async fn collect(self, limit: usize) -> Result<Bytes, Failure> {
        self.collect_counted(limit, |_| Ok(())).await
    }

    /// As [`ReplyBody::collect`]; `count` hears of every piece before it is kept, and may end it all.
    pub async fn collect_counted(
        mut self,
        limit: usize,
        mut count: impl FnMut(usize) -> Result<(), Failure>,
    ) -> Result<Bytes, Failure> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let mut n_bytes = 0;
        let mut whole: Option<BytesMut> = None;
        let mut check = |n_more: usize| {
            n_bytes += n_more;
            let too_long = || Failure::new(FailureKind::Malformed, format!("the answer is longer than {limit} bytes"));
            if n_bytes > limit { Err(too_long()) } else { count(n_more) }
        };
        check(first.len())?;
        while let Some(piece) = self.next().await.transpose()? {
            check(piece.len())?;
            whole.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&piece);
        }
        // One piece, the common case, is not copied.
        Ok(whole.map_or(first, BytesMut::freeze))
    }
}

fn has_marked_end(version: Version, headers: &HeaderMap) -> bool {
    version >= Version::HTTP_2 || headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// One of the calls a provider may have in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// Takes a place, or `None` when all are taken.
    pub(crate) fn take(count: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let in_flight = Self(Arc::clone(count));
        let before = count.fetch_add(1, Ordering::AcqRel);
        (before < limit).then_some(in_flight)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bare_http1_body_ends_like_a_cut() {
        let none = HeaderMap::new();
        let chunked = HeaderMap::from_iter([(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))]);
        let sized = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("2"))]);
        assert!(!has_marked_end(Version::HTTP_11, &none));
        assert!(!has_marked_end(Version::HTTP_10, &none));
        assert!(has_marked_end(Version::HTTP_11, &chunked));
        assert!(has_marked_end(Version::HTTP_11, &sized));
        assert!(has_marked_end(Version::HTTP_2, &none));
    }
}
